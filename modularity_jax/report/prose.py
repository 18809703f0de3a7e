"""The report's sentences: Python hands over numbers and picks the case, the wording stands in `templates`."""

import functools
import math
from typing import Any

import jinja2


@functools.cache
def environment(*, escaped: bool) -> jinja2.Environment:
    """The templates, for a page (escaped) or for plain text."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("modularity_jax.report"),
        autoescape=escaped,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["signed"] = signed
    return made


def say(sentence: str, *values: Any, **named: Any) -> str:
    """A sentence of `templates/sentences.html` as plain text in one line."""
    macro = getattr(environment(escaped=False).get_template("sentences.html").module, sentence)
    return " ".join(macro(*values, **named).split())


def signed(value: float, digits: int = 1) -> str:
    """A number with a typographic minus sign; a dash where it is not finite."""
    # Adding 0 turns the -0.0 that rounding may leave into 0.0.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"
