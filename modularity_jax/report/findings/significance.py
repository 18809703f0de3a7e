"""When a p-value is significant."""

from typing import Any

ALPHA = 0.05
ROUNDING = 1 + 1e-6  # p may come from float32


def is_significant(p_value: Any) -> Any:
    """Whether a p-value, or each of a column, is at most `ALPHA`; they may have been rounded to float32."""
    return p_value <= ALPHA * ROUNDING
