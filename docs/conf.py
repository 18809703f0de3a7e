"""Settings of the site that `make docs` builds with Sphinx, from the pages of this folder and the docstrings."""

import re
from typing import Any

from jax.typing import ArrayLike
from sphinx.util.typing import stringify_annotation

project = html_title = "modularity_jax"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "myst_parser"]
html_theme = "furo"
html_show_copyright = False

myst_heading_anchors = 3  # links to headings as GitHub makes them

add_module_names = False
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_attr_annotations = False  # types stand in the signature
default_role = "py:obj"  # single backticks in a docstring are code, and a link where they hold a public name


def _as_plain_text(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: |W|, a * b and "K." at a line's beginning are no markup."""
    del app, what, name, obj, options
    for index, line in enumerate(lines):
        pieces = re.split(r"(`[^`]*`)", line)
        line = "".join(piece if piece.startswith("`") else re.sub(r"[*|]", r"\\\g<0>", piece) for piece in pieces)
        lines[index] = re.sub(r"\b([A-Z])\.$", r"\1\\.", line)


def _with_short_types(app: Any, what: str, name: str, obj: Any, options: Any, *signature: str | None) -> Any:
    """What JAX takes for an array is a name in the code; Sphinx is given the union behind it."""
    del app, what, name, obj, options
    return tuple(text and text.replace(stringify_annotation(ArrayLike, "smart"), "ArrayLike") for text in signature)


def setup(app: Any) -> None:
    """Docstrings are changed before napoleon, at priority 500, adds markup of its own."""
    app.connect("autodoc-process-docstring", _as_plain_text, priority=400)
    app.connect("autodoc-process-signature", _with_short_types)
