"""The pages are whole: links and anchors lead somewhere, the site shows every page, and what they name is there."""

import importlib.util
import pathlib
import re

import pytest

import modularity_jax as mj

REPOSITORY = pathlib.Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
README_BYTES = 12_000


def prose(page):
    """A page without its blocks of code, which may hold brackets and # signs of their own."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The headings of a page as GitHub and the site write them in links."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def links(page):
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page))


def navigation():
    """The pages that the site's first one lists."""
    (block,) = re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), flags=re.DOTALL)
    return [line for line in block.split() if not line.startswith(":")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_a_heading_twice(page):
    assert len(set(anchors(page))) == len(anchors(page))


def test_the_readme_is_a_page_that_leads_to_all_others():
    readme = PAGES[0]
    assert len(readme.read_bytes()) <= README_BYTES
    assert {"make demo", "make install", "make test"} <= set(re.findall(r"make \w+", readme.read_text()))
    assert "gpu-and-tpu" in anchors(readme)  # where the launchers' error about a missing device points
    named = {f"docs/{page}.md" for page in navigation() if page != "contributing"} | {"CONTRIBUTING.md"}
    assert named <= set(links(readme))


def test_every_page_is_in_the_navigation():
    assert sorted(navigation()) == sorted(page.stem for page in DOCS.glob("*.md") if page.stem != "index")


def test_the_site_leaves_out_of_the_readme_only_its_last_section():
    (last,) = re.findall(r':end-before: "(.*)"', (DOCS / "index.md").read_text())
    assert f"\n{last}\n" in PAGES[0].read_text()
    assert PAGES[0].read_text().split(f"\n{last}\n")[1].count("\n#") == 0


def test_every_public_name_is_in_the_reference():
    found = re.findall(r"^\.\. auto\w+:: (?:.*\.)?(\w+)$", (DOCS / "api.md").read_text(), flags=re.MULTILINE)
    assert sorted(found) == sorted(mj.__all__)


def test_every_result_of_the_readme_stands_in_the_results():
    rows = re.findall(r"^\| .* ± .* \|$", PAGES[0].read_text("utf-8"), flags=re.MULTILINE)
    assert rows
    assert set(rows) <= set((DOCS / "results.md").read_text("utf-8").splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_program_and_config_that_is_named_is_there(page):
    text = page.read_text("utf-8")
    for module in re.findall(r"python -m ([a-z_.]+\w)", text):
        assert module == "pytest" or importlib.util.find_spec(module), module
    for config in re.findall(r"configs/\w+\.py", text):
        assert (REPOSITORY / config).exists(), config


def test_every_config_is_listed():
    text = (DOCS / "running.md").read_text("utf-8")
    for file in (REPOSITORY / "configs").glob("[a-z]*.py"):
        assert file.stem == "study" or re.search(rf"\b{file.stem.removesuffix('_separated')}\b", text), file.stem
