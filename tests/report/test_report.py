import html.parser
import json
import re

import pytest

from modularity_jax.report import write_report
from modularity_jax.runs.tables import read_csv, write_csv
from tests.runs import workdirs

VOID = {"meta", "link", "img", "br"}


class Checker(html.parser.HTMLParser):
    """Collects what a page refers to and shows; raises where tags do not close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.references, self.ids, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        values = dict(attrs)
        self.references += [values[name] for name in ("src", "href", "srcset", "data", "action") if name in values]
        self.ids += [values["id"]] if "id" in values else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and (not self.open or self.open[-1] != "style"):
            self.text.append(" ".join(data.split()))


def check(path):
    checker = Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    checker.close()
    assert checker.open == []
    return checker


@pytest.fixture
def run(tmp_path):
    return workdirs.make_workdir(tmp_path / "run", num_seeds=2, sizes=(4,), num_shuffles=39, epochs=2)


@pytest.fixture
def tables_only(run):
    return strip(run)


def strip(run):
    """Leaves a run without anything to draw, whose report is written fast."""
    (run / "metrics.csv").unlink()
    for path in (run / "clusters").iterdir():
        path.unlink()
    return run


def test_the_page_is_whole_and_needs_nothing_else(run):
    path = write_report(run)
    assert path == run / "report.html"
    page = check(path)
    pictures = [reference for reference in page.references if reference.startswith("data:image/")]
    assert len(pictures) == 7
    anchors = [reference for reference in page.references if reference.startswith("#")]
    assert {anchor[1:] for anchor in anchors} <= set(page.ids)
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    assert not re.search(r"@import|url\(|<script|<iframe", path.read_text())
    assert path.stat().st_size < 5e6


def test_the_page_answers_the_question_with_the_numbers_of_the_table(run):
    text = " ".join(check(write_report(run)).text)
    rows = [
        row for row in read_csv(run / "clusterability.csv") if row["phase"] == "pruned" and row["method"] == "layer"
    ]
    mean = sum(row["observed"] for row in rows) / len(rows)
    front = text[: text.index("The result in numbers")]
    assert "Is this network more modular than chance?" in front
    assert "MNIST · network 64–32–32–10 · 90% of the weights pruned · 2 seeds" in front
    assert "Yes: the pruned networks are more modular than shuffled weights in every comparison shown." in front
    assert f"The n-cut is {mean:.3f} ±" in front
    assert "Over 2 seeds together, the pruned networks at k = 4 are more modular" in front
    assert "The p of all 2 seeds is the smallest that 39 shuffles can show, 0.025." in front
    assert "Only 2 seeds were tested" in front


def test_the_page_says_how_to_repeat_the_run(tables_only):
    run = tables_only
    text = " ".join(check(write_report(run)).text)
    assert "python -m experiments.run --config=configs/mnist.py --workdir=runs/mnist" in text
    assert "from commit 0123456789abcdef of the code" in text
    assert "123.4" in text
    assert "8.9" in text
    assert "prune.final_sparsity" in text
    versions = json.loads((run / "versions.json").read_text())
    (run / "versions.json").write_text(json.dumps({**versions, "command": "", "git_commit": None, "stage_seconds": {}}))
    text = " ".join(check(write_report(run)).text)
    assert "No command was recorded for this run; the commit of the code was not recorded." in text
    assert "Wall-clock" not in text


def test_text_from_the_config_is_escaped(tables_only):
    run = tables_only
    config = json.loads((run / "config.json").read_text())
    config["data"]["name"] = "<script>alert(1)</script>"
    (run / "config.json").write_text(json.dumps(config))
    assert "<script>" not in write_report(run).read_text()


def test_what_is_missing_is_left_out(tables_only):
    (tables_only / "versions.json").unlink()
    page = check(write_report(tables_only))
    sections = {"result", "seeds", "strengths", "audit", "networks", "repeat"}
    assert sections | {"front_phases"} == set(page.ids)
    assert not (tables_only / "audit.csv").exists()


@pytest.mark.parametrize(("name", "stage"), [("clusterability.csv", "cluster"), ("config.json", "train")])
def test_what_it_cannot_do_without_is_named(run, name, stage):
    (run / name).unlink()
    with pytest.raises(FileNotFoundError) as error:
        write_report(run)
    assert str(error.value) == f"{run} holds no {name}; run `python -m experiments.{stage} --workdir={run}` first"
    assert not (run / "report.html").exists()


def test_a_network_that_is_not_modular_is_called_so(tmp_path):
    run = workdirs.make_workdir(tmp_path / "run", num_seeds=3, sizes=(4,), num_shuffles=39, epochs=1, gap=-1.0)
    text = " ".join(check(write_report(strip(run))).text)
    assert "No: the pruned networks are less modular than shuffled weights in every comparison shown." in text


def test_seeds_that_are_significant_only_together(tmp_path):
    """Ten seeds with p = .1 each: none by itself, no doubt about all."""
    run = strip(workdirs.make_workdir(tmp_path / "run", num_seeds=10, sizes=(4,), num_shuffles=39, epochs=1))
    rows = [row | {"p_value": 0.1, "p_opposite": 0.925} for row in read_csv(run / "clusterability.csv")]
    write_csv(run / "clusterability.csv", rows, tuple(rows[0]))
    text = " ".join(check(write_report(run)).text)
    assert (
        "Yes, taken together: the pruned networks are more modular than shuffled weights in every comparison shown, "
        in text
    )
    assert "though not every seed is on its own." in text
    assert "on their own none of 10 seeds significant" in text


def test_a_single_seed_has_nothing_to_combine(tmp_path):
    run = workdirs.make_workdir(
        tmp_path / "run", num_seeds=1, sizes=(4,), num_shuffles=99, epochs=1, methods=("layer",)
    )
    page = check(write_report(strip(run)))
    assert not {"seeds", "strengths"} & set(page.ids)
    assert "At k = 4, the pruned network is more modular" in " ".join(page.text)


def test_the_controls_that_keep_strengths(tmp_path):
    methods = ("layer", "layer_nonzero", "row", "column")
    run = workdirs.make_workdir(tmp_path / "run", num_seeds=3, sizes=(4,), num_shuffles=39, epochs=1, methods=methods)
    text = " ".join(check(write_report(strip(run))).text)
    assert "Beyond the neurons' strengths?" in text
    assert "Yes, by both controls: the pruned networks at k = 4 are more modular than" in text
    assert "row: n-cut" in text


def test_the_audit(run):
    text = " ".join(check(write_report(run)).text)
    assert "32 distinct ones counted ten times" in text
    assert "no verdict at 0.05 hangs on" in text
    rows = read_csv(run / "audit.csv")
    columns = ("seed", "phase", "graph", "measure", "num_clusters", "method", "num_shuffles", "p_value", "p_opposite")
    table = read_csv(run / "clusterability.csv")
    assert [[row[name] for name in columns] for row in rows] == [[row[name] for name in columns] for row in table]


def test_a_table_without_a_needed_column_is_refused(tables_only):
    path = tables_only / "clusterability.csv"
    path.write_text(path.read_text().replace("p_opposite", "p_over", 1))
    with pytest.raises(ValueError, match=r"clusterability\.csv lacks the columns p_opposite"):
        write_report(tables_only)


def test_the_lesions_section(run):
    without = "".join(check(write_report(run)).text)
    assert "What each module does" not in without
    page = check(write_report(workdirs.add_lesions(run)))
    text = "".join(page.text)
    assert "lesions" in page.ids
    assert {"lesion_classes", "lesion_shares", "lesion_pairs", "dependencies"} <= set(page.ids)
    assert "The 2 networks have 6 sub-modules in the hidden layers, of which 2 are important by the study's" in text
    # Two important ones and their pair: 3 pairs of important with important, the mixed ones, the others.
    assert "3 of 3, 0 of 8, 0 of 10" in text
    assert "3/3" in text
    assert "2 (1/1)" in text
    assert "9 of 30" in text


def test_what_is_left_out_is_said_at_the_front(run):
    steps = {(0, "unpruned"): 5, (0, "pruned"): 5, (1, "pruned"): 7}
    rows = [
        row | {"nonfinite_step": steps.get((row["seed"], row["phase"]))} for row in read_csv(run / "metrics.csv")[::-1]
    ]
    write_csv(run / "metrics.csv", sorted(rows, key=lambda row: row["phase"], reverse=True), tuple(rows[0]))
    left_out = {
        "stage": "cluster",
        "phase": "pruned",
        "seed": 2,
        "graph": "weights",
        "num_clusters": 4,
        "reason": "too few neurons",
    }
    write_csv(run / "left_out.csv", [left_out], tuple(left_out))
    front = " ".join(check_front(write_report(run)))
    sentences = (
        "Seed 0 is left out: its loss was not finite from step 5 of the unpruned phase on. Seed 1 is left out: its "
        "loss was not finite from step 7 of the pruned phase on. The pruned network of seed 2 could not be clustered "
        "at k = 4: too few neurons."
    )
    assert sentences in front


def check_front(path):
    text = check(path).text
    return text[: text.index("The result in numbers")]
