"""The table of routers at a toy size."""

import json

import pytest

import modularity_jax as mj
from experiments.known_modules.routers import QUICK, markdown, run
from modularity_jax.runs.tables import read_csv


def test_a_toy_run(tmp_path):
    rows = run(tmp_path, QUICK)
    assert [(row["rules"], row["model"]) for row in rows] == [(2, "monolithic"), (2, "modular"), (2, "oracle")]
    assert all(row["accuracy"] > 0.9 and row["loss"] < 0.4 for row in rows)
    one, learnt, told = ([row[name] for name in mj.RoutingScores._fields] for row in rows)
    assert one == [None] * 5
    assert told == pytest.approx([0] * 5, abs=1e-12)
    assert all(0 < score < 1 for score in learnt)
    assert read_csv(tmp_path / "routing.csv") == rows
    lines = markdown(rows).splitlines()
    assert len(lines) == 2 + 3
    assert lines[0].startswith("| rules | model | accuracy | loss | collapse average |")
    assert lines[-1].startswith("| 2 | oracle | ")
    assert lines[-1].endswith(" | .00 ± .00" * 5 + " |")
    piece = tmp_path / "pieces" / "2_rules.json"
    content = json.loads(piece.read_text())
    content["rows"][0]["accuracy"] = 7.0
    piece.write_text(json.dumps(content))
    assert run(tmp_path, QUICK)[0]["accuracy"] == 7
