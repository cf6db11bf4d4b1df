"""Nothing of a patient leaves the results folder: every byte that a sweep, a report and a report to hand out
write elsewhere is searched for the ids, names and dates of a cohort that was made to be recognised.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from learner_ray.cohort import load
from learner_ray.cohort.pseudonyms import former_pseudonym
from learner_ray.core.withheld import VARIABLE
from tests.marked_cohort import STUDY, found_in, record_number, write_marked

OPTIONS = ["--profile", "laptop", "--folds", "2", "--trials", "1", "--epochs", "2", "--max-concurrent", "2"]
OPTIONS += ["--skip-bad", "--address", "local", "--track", "wandb"]
GUARD_S = 400

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("privacy"), pytest.mark.timeout(2 * GUARD_S)]


@dataclass
class Place:
    """Folders of a user of their own, and what was printed there."""

    root: Path

    def run(self, *command: str, code: int) -> None:
        """Runs a command with an open umask, as a job whose output is kept by others."""
        environment = dict(os.environ, HOME=str(self.root / "home"), TMPDIR=str(self.root / "tmp"))
        environment |= {"RAY_TMPDIR": str(self.root / "tmp"), "LEARNER_RAY_CACHE": str(self.root / "cache")}
        environment |= {VARIABLE: str(self.root / "cache" / "messages.txt"), "RAY_AUTH_MODE": "disabled"}
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.root / "home", env=environment | {"PYTHONPATH": os.getcwd()}, umask=0o022,
            capture_output=True, text=True, timeout=GUARD_S, check=False,
        )  # fmt: skip
        printed = self.root / f"printed-{len(list(self.root.glob('printed-*')))}.log"
        printed.write_text(done.stdout + done.stderr)
        assert done.returncode == code, printed.read_text()

    def written(self, *folders: str) -> Iterator[Path]:
        """All files and folders below some of the place's."""
        for folder in folders:
            yield from (self.root / folder).rglob("*")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """After a sweep with a damaged scan, an arm that fails and an external cohort, and two reports of it."""
    with tempfile.TemporaryDirectory(prefix="lr", ignore_cleanup_errors=True) as short:  # for Ray's sockets
        place = Place(Path(short))
        for folder in ("home", "tmp"):
            (place.root / folder).mkdir()
        manifest, external = (
            write_marked(place.root / "data"),
            write_marked(place.root / "ext", seed=1, first=20),
        )
        study, out = place.root / "data" / "zqmuster_study.py", str(place.root / "results" / "marked")
        study.write_text(STUDY)
        data = ["--data", str(manifest), "--out", out, "--test-data", str(external)]
        place.run("learner_ray.sweep", str(study), *data, *OPTIONS, code=3)
        for name, more in (("report", []), ("shared", ["--share"])):
            place.run(
                "analysis.report", out, "--out", str(place.root / name), "--draws", "200", *more, code=0
            )
        yield place


def test_no_byte_outside_the_results_tells_of_a_patient(place: Place) -> None:
    elsewhere = {
        "reports": place.written("report", "shared"),
        "what was printed": place.root.glob("printed-*"),
        "Ray's folder and other temporary files": place.written("tmp"),
        "home": place.written("home"),
        "cache": (path for path in place.written("cache") if path.name != "messages.txt"),
        "curves": place.written("results/marked/tensorboard"),
        "tracker": place.written("results/marked/wandb"),
        "searches": [place.root / "results" / "marked" / "optuna.journal"],
    }
    found = {}
    for what, paths in elsewhere.items():
        files = [path for path in paths if path.exists()]
        assert files or what == "home", what
        found |= found_in(files, place.root)
    assert not found
    names = {str(path.relative_to(place.root)) for path in place.written("results")}
    assert not found_in([Path("/none") / name for name in names], Path("/none")), "nor would an object's name"
    seen = found_in(place.written("results", "data"), place.root)
    marks = {mark.partition(",")[0] for of in seen.values() for mark in of}
    assert len(marks) == 8, "the search finds what is there"


def test_results_and_cache_are_closed_and_reports_are_as_open_as_the_user_wants(place: Place) -> None:
    def modes(*folders: str) -> Counter[str]:
        paths = [path for path in place.written(*folders) if not path.is_symlink()]
        return Counter(f"{'d' if p.is_dir() else 'f'} {stat.S_IMODE(p.stat().st_mode):o}" for p in paths)

    assert {*modes("results", "cache")} == {"d 700", "f 600"}
    assert {*modes("report", "shared")} == {"d 755", "f 644"}
    ray = [path for path in place.written("tmp") if path.is_file() and path.stat().st_mode & 0o077]
    assert not ray, "the workers' logs"


def test_of_a_report_no_record_number_can_be_recovered(place: Place) -> None:
    """Who has a report tries the million numbers that there can be."""
    tables = [
        pd.read_csv(path, dtype=str) for path in place.written("report", "shared") if path.suffix == ".csv"
    ]
    words = {
        word
        for table in tables
        for column in table
        for cell in table[column].dropna()
        for word in _words(cell)
    }
    tried = [f"ZQID-{number:06d}" for number in range(1_000_000)]
    assert not words & {former_pseudonym(patient) for patient in tried}
    cohort = load(place.root / "data" / "Zqklinik" / "cohort" / "manifest.csv", modality="lus")
    ledger = pd.read_parquet(place.root / "results" / "marked" / "ledger.parquet")
    own = {cohort.pseudonym(patient) for patient in cohort.patients}
    assert own == {*ledger["patient"]} and record_number(0) in cohort.patients
    assert not words & own


def _words(cell: str) -> Sequence[str]:
    return cell.replace(":", " ").replace(";", " ").split()
