"""The report's templates: Python hands over numbers and picks the case, the wording stands there."""

import functools
import math
from typing import Any

import jinja2
import pandas as pd

from modularity_jax.report.findings.significance import ALPHA, is_significant

_TEXT_COLUMNS = (
    "phase", "method", "verdict", "setting", "what", "stage", "control", "dataset", "source", "dropout", "value",
    "version", "taxonomy", "taxonomy_adjusted", "joint_pairs", "axis", "measure", "graph",
)  # fmt: skip


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
    # An n-cut is fixed, a p-value short.
    made.filters |= {"signed": signed, "fixed": "{:.3f}".format, "short": "{:.2g}".format}
    made.tests |= {"known": pd.notna, "significant": is_significant, "text_column": _TEXT_COLUMNS.__contains__}
    made.globals |= {"alpha": f"{ALPHA:g}", "zip": functools.partial(zip, strict=True)}
    return made


def say(sentence: str, *values: Any) -> str:
    """A sentence of `templates/sentences.html` as plain text in one line."""
    macro = getattr(environment(escaped=False).get_template("sentences.html").module, sentence)
    return " ".join(macro(*values).split())


def signed(value: float | None, digits: int = 1) -> str:
    """A number with a typographic minus sign; a dash where there is none, or it is not finite."""
    # Adding 0 turns the -0.0 that rounding may leave into 0.0.
    if value is None or not math.isfinite(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
