"""The command: results folders to tables, figures and one page.

python analysis/report.py results/lus results/mri --out report
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a script, Python puts this folder first on the path; the package is found from the one above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis import figures, headline
from analysis.analysed import Analysed, analyse
from analysis.bootstrap import DRAWS
from analysis.drawing import Drawing, save
from analysis.errors import ReportError
from analysis.load import load
from analysis.page import write_page
from analysis.render import plain, write_table


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="report.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="*", type=Path, help="folders of studies, for example results/lus")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder to write (default: report)")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"bootstrap draws (default: {DRAWS:,})")
    return parser.parse_args(arguments)


def build(folders: Sequence[Path], out: Path, draws: int = DRAWS) -> bool:
    """Write the report; whether every study had final runs to compare."""
    analysed = [analyse(study, draws) for study in load(folders).studies]
    shown = [headline.headline(analysed), headline.all_metrics(analysed)]
    drawings = _drawings(analysed)
    for table in shown:
        write_table(table, out / "tables")
    for drawing in drawings:
        save(drawing, out / "figures")
    write_page(analysed, shown, drawings, out)
    print(plain(shown[0]))
    for item in analysed:
        for problem in item.study.problems:
            print(f"{item.study.folder}: {problem}", file=sys.stderr)
    print(f"report: {out / 'index.html'}")
    return all(len(item.study.ledger) for item in analysed)


def _drawings(analysed: Sequence[Analysed]) -> list[Drawing]:
    found = [figures.forest(analysed)]
    for item in analysed:
        if len(item.study.ledger):
            found += [figures.confusion(item), figures.distance(item), figures.calibration(item)]
    return [drawing for drawing in found if drawing is not None]


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        complete = build(options.results, options.out, options.draws)
    except ReportError as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 2
    return 0 if complete else 2


if __name__ == "__main__":
    sys.exit(main())
