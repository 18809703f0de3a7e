"""Data flows down the rooms: each imports only those above it."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "modularity_jax"
ROOMS = ("plug_points", "programs", "parallel", "data", "graphs", "metric", "nets", "probes", "runs", "report")
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(module):
    """Of a dotted name such as "modularity_jax.metric.kmeans"; None for what is no room."""
    parts = module.split(".")
    return parts[1] if parts[0] == PACKAGE.name and len(parts) > 1 else None


def imported(path):
    """The rooms that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (room_of(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if room_of(node.module) else [f"{node.module}.{alias.name}" for alias in node.names]
            yield from map(room_of, names)


def test_all_rooms_are_here():
    found = {room_of(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)) for path in FILES}
    assert found - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_rooms_above_its_own(path):
    mine = room_of(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    if mine == "__init__":  # the public face
        return
    above = ROOMS[: ROOMS.index(mine) + 1]
    assert [room for room in imported(path) if room is not None and room not in above] == []
