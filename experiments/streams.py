"""What is printed reaches every terminal and file, whatever characters its encoding has."""

import codecs
import io
import sys

_ASCII = str.maketrans({"±": "+-", "≤": "<=", "≥": ">=", "–": "-"})


def make_printable() -> None:
    """Let standard output and standard error write what their encoding lacks in another way, instead of failing."""
    codecs.register_error("printable", _printable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="printable")


def _printable(error: UnicodeError) -> tuple[bytes, int]:
    """For what a terminal's encoding lacks: the bytes of file names as they came, ASCII or escapes for the rest."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    try:
        return text.encode(error.encoding, "surrogateescape"), error.end
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(error.encoding, "backslashreplace"), error.end
