"""What weakens a run's shuffle tests, in words: controls that could not be compared, eigenvectors not converged."""

from collections.abc import Mapping, Sequence
from typing import Any

_KEYS = ("phase", "num_clusters", "method")


def caveats(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences on the rows of `clusterability.csv`, those without a p included; none where nothing is amiss."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in _KEYS), []).append(row)
    found = [(_left_out(group), _not_converged(group)) for group in groups.values()]
    return [sentence for pair in found for sentence in pair if sentence]


def _left_out(rows: Sequence[Mapping[str, Any]]) -> str:
    some = [row for row in rows if row.get("num_left_out")]
    if not some:
        return ""
    counts = sorted({row["num_left_out"] for row in some})
    count = "–".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    text = (
        f"{_head(rows[0])}: {count} of {some[0]['num_shuffles']} controls of {_seeds(some)} have fewer than "
        f"{rows[0]['num_clusters']} connected neurons; they cannot be cut into as many modules and are left out of p"
    )
    without = [row for row in some if row["p_value"] is None]
    return f"{text}, so that {_seeds(without)} has none." if without else f"{text}."


def _not_converged(rows: Sequence[Mapping[str, Any]]) -> str:
    some = [row for row in rows if row.get("converged") is False]
    if not some:
        return ""
    return (
        f"{_head(rows[0])}: the eigenvectors of {_seeds(some)} or of controls did not converge; these n-cuts may be "
        "too high."
    )


def _head(row: Mapping[str, Any]) -> str:
    return f"{row['phase']}, k = {row['num_clusters']}, {row['method']}"


def _seeds(rows: Sequence[Mapping[str, Any]]) -> str:
    return f"seed{'s' if len(rows) > 1 else ''} {', '.join(str(row['seed']) for row in rows)}"
