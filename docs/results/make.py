"""Makes a page of this folder from a study of real scans: verdicts, main tables and figures, nothing else.

    python docs/results/make.py results/mri --name oasis-2 --title "OASIS-2" --about about.txt

It takes what a report to hand out has (analysis/sharing.py): no scan, no frame, no id, no row of a patient.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from analysis.building import build
from analysis.figures.drawing import Drawing
from analysis.page.headline import headline
from analysis.page.incremental import incremental_sentences
from analysis.page.page import Report
from analysis.page.sentences import verdict_sentences
from analysis.page.validity import checks
from analysis.results.load import load
from analysis.results.study import StudyResults
from analysis.sharing import shareable, shareable_study, without_folders
from analysis.tables.render import markdown

HERE = Path(__file__).parent
TABLES = ("headline", "incremental", "metrics")
FIGURES = ("arms", "forest", "confusion-", "reliability-")
"""Names, or beginnings of names, of the tables and figures that a page shows, in this order."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes NAME.md and its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="a study's results folder")
    parser.add_argument("--name", required=True, help="of the page's file")
    parser.add_argument("--title", required=True)
    parser.add_argument("--about", type=Path, required=True, help="what the data are, and how they were got")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args(arguments)
    study = shareable_study(load([args.results]).studies[0])
    report = shareable(build([study]))
    args.out.mkdir(parents=True, exist_ok=True)
    shown = [d for start in FIGURES for d in report.drawings if d.name.startswith(start)]
    for drawing in shown:
        (args.out / figure_file(args.name, drawing)).write_text(drawing.svg, encoding="utf-8")
    text = page(report, args.name, args.title, args.about.read_text(), shown)
    (args.out / f"{args.name}.md").write_text(without_folders(text), encoding="utf-8")


def page(report: Report, name: str, title: str, about: str, drawings: Sequence[Drawing]) -> str:
    """The page's text, in Markdown."""
    (item,) = report.statistics
    verdicts = [*incremental_sentences(item), *verdict_sentences(item)]
    noted = [check for check in checks(item) if check.status in ("amber", "red")]
    tables = {table.name: table for table in report.tables}
    parts = [
        f"# {title}",
        about.strip(),
        f"**{headline(item)}**",
        "\n".join(f"- {sentence}" for sentence in verdicts),
        *(markdown(tables[table]) for table in TABLES if table in tables),
        *(
            f"![{drawing.title}: {drawing.description}]({figure_file(name, drawing)})\n\n*{drawing.title}.*"
            for drawing in drawings
        ),
        "## What the report warns of",
        "\n".join(f"- {check.name} ({check.status}): {check.found}" for check in noted) or "Nothing.",
        "## How it was made",
        made_with(item.study),
    ]
    return "\n\n".join(parts) + "\n"


def figure_file(name: str, drawing: Drawing) -> str:
    """The name of a figure's file."""
    return f"{name}-{drawing.name.partition('-')[0]}.svg"


def made_with(study: StudyResults) -> str:
    """Says commit, date, hardware and versions of a study."""
    info = study.info
    versions = info.get("versions") or {}
    named = ", ".join(f"{package} {versions[package]}" for package in ("torch", "ray") if package in versions)
    return (
        f"`{study.key}` at commit {str(info.get('git_sha', 'not recorded'))[:7]}, begun "
        f"{str(info.get('created', 'not recorded'))[:10]}, on "
        f"{study.recorded('hardware', 'processor')}; {named}; "
        f"profile {info.get('profile')}, {study.recorded('base', 'train', 'precision')}."
    )


if __name__ == "__main__":
    main()
