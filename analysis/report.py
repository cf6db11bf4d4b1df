"""The command: results folders to tables, figures and one page.

python analysis/report.py results/lus results/mri --out report
python analysis/report.py --check report
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a script, Python puts this folder first on the path; the package is found from the one above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis import figures, headline, many, search
from analysis.analysed import Analysed, analyse
from analysis.bootstrap import DRAWS
from analysis.drawing import Drawing, save
from analysis.errors import ReportError
from analysis.factorial import factorial_table
from analysis.freshness import check, write_sources
from analysis.importance import FEWEST_TRIALS, importance
from analysis.load import load
from analysis.page import Report, write_page
from analysis.render import plain, write_table
from analysis.table import Table


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="report.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="*", type=Path, help="folders of studies, for example results/lus")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder to write (default: report)")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"bootstrap draws (default: {DRAWS:,})")
    parser.add_argument("--importance", action="store_true", help="also rank hyperparameters (7 s per arm)")
    parser.add_argument("--check", type=Path, metavar="DIR", help="only say whether a report is up to date")
    return parser.parse_args(arguments)


def build(folders: Sequence[Path], draws: int = DRAWS, rank: bool = False) -> Report:
    """Load, analyse and draw; nothing is written."""
    analysed = [analyse(study, draws) for study in load(folders).studies]
    drawings = figures_of(analysed)
    ranked = [importance(item.study) for item in analysed] if rank else []
    drawings += [drawing for drawing in ranked if drawing is not None]
    return Report(analysed=analysed, tables=tables_of(analysed), drawings=drawings)


def tables_of(analysed: Sequence[Analysed]) -> list[Table]:
    """Every table that the studies have data for, the headline first."""
    found = [
        headline.headline(analysed),
        many.across(analysed),
        headline.all_metrics(analysed),
        headline.test_details(analysed),
        many.tuned_and_fixed(analysed),
        factorial_table(analysed),
        search.search_summary(analysed),
        search.overtuning(analysed),
    ]
    return [table for table in found if table is not None]


def figures_of(analysed: Sequence[Analysed]) -> list[Drawing]:
    """Every figure that the studies have data for, the forest plot first."""
    found = [figures.forest(analysed)]
    for item in analysed:
        if len(item.study.ledger):
            found += [figures.confusion(item), figures.distance(item), figures.calibration(item)]
        found += [search.budget(item), search.learning(item)]
    return [drawing for drawing in found if drawing is not None]


def write(report: Report, out: Path) -> None:
    """Write OUT/index.html, tables, figures, and what they were made from."""
    for table in report.tables:
        write_table(table, out / "tables")
    for drawing in report.drawings:
        save(drawing, out / "figures")
    write_page(report, out)
    write_sources([item.study for item in report.analysed], out)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 the checked report is out of date, 2 a folder is missing, foreign or
    unfinished.
    """
    options = parse(arguments)
    try:
        if options.check:
            changed = check(options.check)
            print("\n".join(changed) or f"{options.check}: up to date")
            return 1 if changed else 0
        report = build(options.results, options.draws, options.importance)
    except ReportError as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 2
    write(report, options.out)
    print(plain(report.tables[0]))
    if options.importance and not any(d.name.startswith("importance") for d in report.drawings):
        print(
            f"importance: no arm has {FEWEST_TRIALS} complete trials, so nothing is ranked", file=sys.stderr
        )
    for item in report.analysed:
        for problem in item.study.problems:
            print(f"{item.study.folder}: {problem}", file=sys.stderr)
    print(f"report: {options.out / 'index.html'}")
    return 0 if all(len(item.study.ledger) for item in report.analysed) else 2


if __name__ == "__main__":
    sys.exit(main())
