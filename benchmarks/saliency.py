"""Whether maps of a predicted change lie on the change, and those of a randomised network do not.

    python benchmarks/saliency.py lus --out FOLDER         # or mri; trains one final run of MSE there
    python benchmarks/saliency.py lus --out FOLDER --run results/runs/HASH

Phantom: new patients are drawn of whom no run has seen any, with two visits each; the first pairs are taken
whose class is worse or better, whatever is predicted of them. Each scan is drawn a second time with the
severity of the pair's other visit and all else the same: where the two differ, the change was planted.

Defined before any map was looked at: tissue (pixels that are not black) is divided into four parts of equal
area by the planted change, smoothed by the window of the maps. A pair counts where the part with most change
has the largest mean strength of map, of both scans together. A map that knows nothing does so in 1 of 4
pairs. The parts hold all places of one look, since a network that averages over places cannot tell them apart
(docs/log.md, 2026-11-27). Beside it, quadrants of the picture: the one with most planted change has most map.

Randomised (Adebayo et al. 2018, NeurIPS 31): all weights of the encoder drawn anew, and the classifier fitted
to permuted labels, so that its probabilities neither vanish nor mean anything.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from learner_ray.cohort import load
from learner_ray.cohort.sidecar import sidecar_path
from learner_ray.core.files import write_json
from learner_ray.core.seeding import random_key
from learner_ray.imaging.phantoms import phantom_cohort_path
from learner_ray.imaging.phantoms.cohort import COLUMNS
from learner_ray.imaging.phantoms.patient import SITES, modality_of, planned_patient, write_scan
from learner_ray.imaging.raster import BACKGROUND
from learner_ray.run.folder import RunFolder
from learner_ray.run.provenance import git_sha, processor
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.training.data import Data, open_data
from learner_ray.training.distributed import World
from learner_ray.training.explaining import pair_maps
from learner_ray.training.integrated_gradients import window_side
from learner_ray.training.predictor import Predictor
from learner_ray.training.pretraining import untrained_network
from learner_ray.training.progression import Progression
from learner_ray.training.run import TrainingRun
from search_spaces import lus, mri

STUDIES = {"lus": lus.STUDY, "mri": mri.STUDY}
TRAINED = 30
"""Patients of the default phantom that the run is trained on; the other six it tests."""
SIZE = 48
"""Pixels of a frame's side, so that both modalities take minutes of a core."""
KEY = "saliency"
OTHER = "-other"
"""Ends the visit of a scan with the severity of the pair's other visit."""

Image = NDArray[np.float64]


def trained(modality: str, folder: Path, epochs: int) -> Path:
    """The folder of a final run on the phantom, trained where it is not there."""
    study = STUDIES[modality]
    own_values = {"data.image_size": SIZE, "train.precision": "float32", "train.epochs": epochs}
    values = {**study.profiles["laptop"], **own_values}
    cohort = load(phantom_cohort_path(modality), modality=modality)
    patients = sorted(cohort.patients)
    own, test = tuple(patients[:TRAINED]), tuple(patients[TRAINED:])
    source = Source(path=str(phantom_cohort_path(modality)), cohort_hash=cohort.hash)
    spec = RunSpec(
        config=study.base.with_values(values),
        patients=Patients(pretrain=own, classifier=own, test=test),
        source=source,
    )
    run = TrainingRun(spec, RunFolder(folder), world=World.current())
    while run.advance() is not None:
        pass
    return folder


def new_pairs(modality: str, folder: Path, pairs: int, threshold: float) -> Path:
    """A cohort of pairs with a true change; of each scan there is another with the other visit's severity."""
    (folder / "scans").mkdir(parents=True, exist_ok=True)
    kind, key, rows = modality_of(modality), random_key(KEY, modality), []
    number = 0
    while len(rows) < 4 * pairs:
        number += 1
        planned = planned_patient(modality, number, 2, key)
        first, second = planned.visits
        if abs(second.score - first.score) < threshold:
            continue
        for visit, other in ((first, second), (second, first)):
            for severity, ending in ((visit.severity, ""), (other.severity, OTHER)):
                name = f"scans/{planned.name}_V{visit.number}{ending}{kind.suffix}"
                if not (folder / name).exists():
                    write_scan(modality, folder / name, planned.name, visit.number, severity, key)
                place = [planned.view, SITES[planned.site], kind.devices[planned.site]]
                patient = planned.name + ending
                rows.append([name, patient, visit.number, visit.day, visit.score, *place])
    manifest = folder / "manifest.csv"
    described = {"name": f"{modality}-{KEY}", "modality": modality, "temporal": True, "phantom": True}
    write_json(sidecar_path(manifest), {**described, "score": kind.score.to_dict()})
    with open(manifest, "w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    return manifest


def randomised(predictor: Predictor, trained_on: Data) -> Predictor:
    """The predictor with a new encoder and a classifier of permuted labels."""
    spec = predictor.spec
    network = untrained_network(replace(spec.config, seed=spec.config.seed + 1000), "cpu")
    found = Predictor(spec, predictor.description, network.state_dict(), "cpu")
    who = spec.patients.classifier
    pairs, scans = trained_on.pairs(who), trained_on.of(who)
    embedded = found.embed(trained_on, scans["scan"].tolist())
    config = replace(spec.config.progression, shuffle_labels=True)
    found.progression = Progression.fit(config, pairs, scans, embedded, spec.config.seed)
    return found


def planted(data: Data, scan: str, other: str, frames: int, window: int) -> tuple[Image, NDArray[np.bool_]]:
    """Where a scan shows the change, smoothed (H, W), and where it shows tissue (H, W)."""
    a, b = (next(data.batches([each], frames, "cpu", 1))[0].double().numpy() for each in (scan, other))
    tissue = data.cache.frames(scan).max(0) > BACKGROUND
    return uniform_filter(np.abs(a - b).mean(0), window), tissue


def by_quarter(change: Image, tissue: NDArray[np.bool_], strength: Image) -> Image:
    """Mean strength of a map in the four parts of tissue by planted change, most first: (4,)."""
    order = np.argsort(-change[tissue], kind="stable")
    return np.array([strength[tissue][part].mean() for part in np.array_split(order, 4)])


def by_quadrant(values: Image) -> Image:
    """Sums of an image (H, W) over its quadrants, (4,)."""
    return np.array([part.sum() for half in np.array_split(values, 2) for part in np.array_split(half, 2, 1)])


def main() -> None:
    """Print, for a trained and a randomised network, how many pairs' maps lie on the change."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modality", choices=sorted(STUDIES))
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--run", type=Path, help="a final run on the phantom; without it one is trained")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args()
    name = args.modality
    run = args.run or trained(name, args.out / f"{name}-run-{args.epochs}", args.epochs)
    predictor = Predictor.load(run)
    manifest = new_pairs(name, args.out / f"{name}-pairs", args.pairs, predictor.score.change_threshold)
    spec = predictor.spec
    data = open_data(Source(path=str(manifest)), spec.config.data.pixels)
    control = randomised(predictor, open_data(spec.source, spec.config.data.pixels))
    print(f"{processor()}, commit {git_sha()}; phantom of {name}, {args.pairs} new pairs")
    for what, network in (("trained", predictor), ("randomised", control)):
        begun = time.monotonic()
        table = pd.DataFrame(measured(network, data))
        right = table["right"].mean()
        print(
            f"{what}: change ranks first in {int(table['quarter'].sum())} of {len(table)} pairs (chance "
            f"{len(table) / 4:g}), by quadrant in {int(table['quadrant'].sum())}; {right:.0%} of pairs "
            f"called right; largest map {table['largest'].median():.2g} (median); mean strength by part "
            f"{' '.join(f'{table[part].mean():.2f}' for part in range(4))}; "
            f"{time.monotonic() - begun:.0f} s",
            flush=True,
        )  # fmt: skip


def measured(predictor: Predictor, data: Data) -> list[dict[object, float]]:
    """One row per pair: whether the change ranks first, and what the maps are like."""
    frames, suffix = predictor.spec.config.data.frames, modality_of(predictor.modality).suffix
    embedded, rows = predictor.embed(data), []
    pairs = data.pairs([patient for patient in data.cohort.patients if not patient.endswith(OTHER)])
    decided = predictor.progression.decide(predictor.progression.predict(pairs, data.scans, embedded))
    for number in range(len(pairs)):
        pair = pairs.iloc[[number]].reset_index(drop=True)
        quarters, changes, strengths, largest = np.zeros(4), np.zeros(4), np.zeros(4), 0.0
        for scan, values in pair_maps(predictor, data, pair, embedded).items():
            window = window_side(values)
            change, tissue = planted(
                data, scan, f"{scan.removesuffix(suffix)}{OTHER}{suffix}", frames, window
            )
            strength = np.abs(values)
            quarters += by_quarter(change, tissue, strength)
            changes += by_quadrant(change * tissue)
            strengths += by_quadrant(strength)
            largest = max(largest, float(strength.max()))
        rest = quarters / max(float(quarters.sum()), 1e-300)
        rows.append(
            {
                "quarter": float(quarters[0] > quarters[1:].max()),
                "quadrant": float(strengths.argmax() == changes.argmax() and largest > 0),
                "right": float(decided[number] == pair["y"][0]),
                "largest": largest,
                **dict(enumerate(rest)),
            }
        )
    return rows


if __name__ == "__main__":
    main()
