"""What is lost when a part of the engine is killed: driver, trial actor, Train worker and node, in search and
final runs.

    python benchmarks/kills.py [--only NAME]

Every cell of the matrix is a whole study on a small cohort, in which one victim is killed with -9 while a run
of its kind is being trained; its ledger and trial table are compared with those of the study that nobody
disturbed, exactly. Only the driver's death needs the command again. A node is a second Ray node on this
machine, all of whose processes are killed at once. Prints Markdown; ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.processes import end, named, sweep_command, tree
from learner_ray.imaging.phantoms import write_phantom
from learner_ray.run.folder import RunFolder
from learner_ray.run.provenance import git_sha, processor

DRIVER, ACTOR, WORKER, NODE = "driver", "trial actor", "Train worker", "node"
VICTIMS = (DRIVER, ACTOR, WORKER, NODE)
PHASES = {"search": False, "final run": True}
PORT = 6480
EPOCHS = 6
ARGUMENTS = ["--folds", "2", "--trials", "2", "--seeds", "1", "--arms", "mse,weighted"]
ARGUMENTS += ["--epochs", str(EPOCHS)]
ARGUMENTS += ["--set", "data.image_size=64", "--set", "data.frames=4", "--set", "train.precision=float32"]
# So few pairs give many trials the same kappa, and then none is stopped.
ARGUMENTS += ["--set", "progression.selection_metric=log_loss"]
STUDY_S = 600.0


@dataclass(frozen=True)
class Study:
    """The command, and where its results go."""

    out: Path
    command: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, victim: str, manifest: Path) -> Study:
        out = root / "lus"
        ranks, address = (2 if victim == WORKER else 1), (f"127.0.0.1:{PORT}" if victim == NODE else "local")
        options = [*ARGUMENTS, "--devices-per-trial", str(ranks), "--address", address]
        return cls(out, tuple(sweep_command(manifest, out, *options)))

    def start(self) -> subprocess.Popen[bytes]:
        self.out.parent.mkdir(parents=True, exist_ok=True)
        with open(self.out.parent / "printed.txt", "ab") as printed:
            return subprocess.Popen(self.command, stdout=printed, stderr=subprocess.STDOUT)

    def running(self, final: bool, among: set[int] | None = None) -> Iterator[tuple[RunFolder, int]]:
        """Runs of a kind in the middle of their training, with their processes."""
        for progress in (self.out.parent / "runs").glob("*/progress.jsonl"):
            folder = RunFolder(progress.parent)
            if folder.state is None and 1 < len(folder.progress()) < EPOCHS - 1:
                process = int((folder.path / ".lock").read_text().split()[1])
                if folder.read_spec().is_final == final and (among is None or process in among):
                    yield folder, process

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        columns = ["arm", "fold", "trial", "run_hash", "state", "selection_score", "epochs"]
        ledger, trials = (pd.read_parquet(self.out / f"{name}.parquet") for name in ("ledger", "trials"))
        return ledger, trials[columns]


@contextlib.contextmanager
def two_nodes(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A head and a second node, a CPU each; the second one's process."""
    ray = str(Path(sys.executable).with_name("ray"))
    common = ["--num-cpus=1", "--object-store-memory=200000000", "--block", "--disable-usage-stats"]
    head = [f"--port={PORT}", "--head", "--include-dashboard=false", f"--temp-dir={root / 'ray'}"]
    os.environ["RAY_AUTH_MODE"] = "disabled"  # of the driver, too
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        for options in (head, [f"--address=127.0.0.1:{PORT}"]):
            with open(root / f"node-{len(nodes)}.txt", "wb") as printed:
                command = [ray, "start", *options, *common]
                nodes.append(subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT))
            time.sleep(8)
        yield nodes[1]
    finally:
        for node in reversed(nodes):
            end(set(tree(node.pid)) if node.poll() is None else set())
            node.wait()


def strike(study: Study, victim: str, final: bool, driver: int, node: int | None) -> tuple[RunFolder, int]:
    """Kills the victim once it is in the middle of such a run; that run, and the epochs it had finished."""
    until = time.monotonic() + STUDY_S
    while time.monotonic() < until and Path(f"/proc/{driver}/exe").exists():
        among = set(tree(node)) if node is not None else None
        for folder, process in study.running(final, among):
            victims = {
                DRIVER: {driver},
                ACTOR: {process},
                WORKER: {max(named(tree(driver), "RayTrainWorker"))} if victim == WORKER else set(),
                NODE: among or set(),
            }[victim]
            epochs = len(folder.progress())
            end(victims)
            return folder, epochs
        time.sleep(0.02)
    raise SystemExit(f"no run to kill, see {study.out.parent / 'printed.txt'}")


def epochs_again(folder: RunFolder, epochs: int, driver: subprocess.Popen[bytes]) -> int:
    """Epochs that a run trains again until it ends: what its progress falls back by."""
    last, again = epochs, 0
    changed = (folder.path / "progress.jsonl").stat().st_mtime_ns
    while folder.state is None and driver.poll() is None:
        now = (folder.path / "progress.jsonl").stat().st_mtime_ns
        if now != changed:
            changed, finished = now, len(folder.progress())
            again += max(0, last + 1 - finished)
            last = finished
        time.sleep(0.005)
    return again


def cell(root: Path, manifest: Path, victim: str, phase: str, expected: Study) -> str:
    """One study with one death, as a row of the table."""
    study = Study.of(root, victim, manifest)
    root.mkdir(parents=True)
    with two_nodes(root) if victim == NODE else contextlib.nullcontext() as node:
        driver = study.start()
        begun = time.monotonic()
        folder, epochs = strike(study, victim, PHASES[phase], driver.pid, node.pid if node else None)
        states = {p: p.read_bytes() for p in (study.out.parent / "runs").glob("*/state.json")}
        if victim == DRIVER:
            driver.wait()
            driver = study.start()
        again = epochs_again(folder, epochs, driver)
        code = driver.wait(timeout=STUDY_S)
        took = time.monotonic() - begun
    if code:
        raise SystemExit(f"{victim}, {phase}: exit {code}, see {study.out.parent / 'printed.txt'}")
    kept = all(path.read_bytes() == content for path, content in states.items())
    equal = [a.equals(b) for a, b in zip(study.tables(), expected.tables(), strict=True)]
    cells = [
        victim,
        phase,
        f"{epochs}",
        f"{again}",
        f"{took:.0f}",
        *("yes" if e else "NO" for e in (*equal, kept)),
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=VICTIMS, help="kill this one alone")
    args = parser.parse_args()
    print(f"{processor()}, {os.cpu_count()} cores, commit {git_sha()}; {EPOCHS} epochs a run\n")
    with tempfile.TemporaryDirectory(prefix="kills-", ignore_cleanup_errors=True) as temporary:
        root = Path(temporary)
        os.environ["LEARNER_RAY_CACHE"] = str(root / "cache")
        manifest = write_phantom("lus", root / "cohort", patients=12)
        undisturbed: dict[bool, Study] = {}
        for victim in [args.only] if args.only else VICTIMS:
            ranks = victim == WORKER
            if ranks not in undisturbed:
                study = Study.of(root / f"undisturbed-{ranks}", victim if ranks else ACTOR, manifest)
                begun = time.monotonic()
                if study.start().wait(timeout=STUDY_S):
                    raise SystemExit((study.out.parent / "printed.txt").read_text()[-2000:])
                undisturbed[ranks] = study
                seconds = time.monotonic() - begun
                print(f"Undisturbed, {1 + ranks} devices per trial: {seconds:.0f} s", flush=True)
                if len(undisturbed) == 1:
                    print(
                        "\n| killed | in | epochs it had | of them again | s | same ledger | same trials | "
                        "ended runs untouched |\n|---|---|---|---|---|---|---|---|"
                    )
            for phase in PHASES:
                row = cell(
                    root / f"{victim}-{phase}".replace(" ", "-"), manifest, victim, phase, undisturbed[ranks]
                )
                print(row, flush=True)


if __name__ == "__main__":
    main()
