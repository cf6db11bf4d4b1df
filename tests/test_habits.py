"""What a newcomer, a citation tool and GitHub read is there and agrees with the package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "cluster" / "README.md", *ROOT.glob(".github/*.md")]
)
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]  # type: ignore[index]


def test_the_newest_version_of_the_changelog_is_the_package_s() -> None:
    found = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert found[0] == VERSION
    assert found == sorted(found, key=lambda v: [int(part) for part in v.split(".")], reverse=True)


def test_the_image_of_the_cluster_files_has_the_package_s_version() -> None:
    for name in ("Dockerfile", "kuberay.yaml"):
        text = (ROOT / "cluster" / name).read_text()
        assert set(re.findall(r"learner-ray:([0-9.]+)", text)) == {VERSION}, name


def test_the_citation_names_the_software_this_version_and_the_paper() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()  # what the format requires
    assert cited["version"] == VERSION and cited["license"] == "Apache-2.0"
    (paper,) = cited["references"]
    assert paper["title"].startswith("LEARNER") and "2411.01144" in paper["url"]
    for person in (*cited["authors"], *paper["authors"]):
        assert person.keys() in ({"name"}, {"family-names", "given-names"})


def test_the_public_workflow_runs_what_our_own_runs_on_every_python_that_is_allowed() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    matrix = job["strategy"]["matrix"]
    versions = {*matrix["python"], *(extra["python"] for extra in matrix["include"])}
    assert versions == {"3.11", "3.12", "3.13"}
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda p: p.stem
)
def test_issue_forms_have_what_github_requires(form: Path) -> None:
    values = yaml.safe_load(form.read_text())
    if form.stem != "config":
        assert {"name", "description", "body"} <= values.keys()
        assert all(part["type"] == "markdown" or part["attributes"]["label"] for part in values["body"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", page.read_text()):
        assert not link or (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_glossary_is_in_the_order_of_the_alphabet_and_has_the_words_of_the_design() -> None:
    words = re.findall(r"^\*\*(.+?)\*\*:", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert words == sorted(words, key=str.casefold)
    assert {
        "Scan", "Visit", "Score", "Cohort", "Progression pair", "Arm", "Run", "Trial", "Fold", "Seed",
        "Final run", "Study", "Ledger", "Loss", "Selection score", "Pruner", "Encoder", "Audit", "Manifest",
        "Sidecar", "Phantom", "Watchdog", "Pixel cache", "Predictor",
    } <= set(words)  # fmt: skip


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert all(f"]({page.name})" in index for page in ROOT.glob("docs/*.md") if page.name != "README.md")


def test_the_readme_is_one_screen_with_a_picture() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.count("\n") < 80
    assert "](docs/pictures/report.png)" in text
