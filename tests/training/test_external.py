"""A complete final run is tested on an external cohort with what it stored, and is not changed by it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from learner_ray.cohort import load
from learner_ray.run.external_files import (
    COMBINED,
    PAIRS,
    SCORES,
    external_fault,
    external_key,
    external_table,
)
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import Source
from learner_ray.training.external import predict_externally
from learner_ray.training.with_earlier_score import can_add
from tests.small_cohort import write_clip, write_cohort
from tests.training.test_run import FINAL, finish, spec

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("external")]

ARMS = {
    "encoder": {"train__epochs": 1},
    "finetuned": {"train__epochs": 1, "progression__finetune_epochs": 1},
    "earlier score": {"progression__input": "earlier_score"},
    "metadata": {"progression__input": "metadata"},
}
"""Settings of final runs: with an encoder, and controls without."""


@pytest.fixture(scope="module")
def complete(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results root with the final run of each arm; read only."""
    root = tmp_path_factory.mktemp("external")
    for values in ARMS.values():
        planned = spec(manifest, FINAL, **values)
        finish(planned, root / "runs" / planned.hash)
    return root


def source_of(manifest: Path) -> Source:
    return Source(path=str(manifest), cohort_hash=load(manifest, modality="lus").hash)


def final_runs(root: Path) -> Iterator[RunFolder]:
    for path in sorted((root / "runs").iterdir()):
        yield RunFolder(path)


def copy_of(complete: Path, root: Path) -> Path:
    shutil.copytree(complete, root)
    return root


def files(root: Path) -> dict[str, bytes]:
    """All that a results root holds, apart from predictions of external cohorts."""
    paths = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith("external-")]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def test_what_was_stored_predicts_the_runs_own_test_patients_as_the_run_did(
    complete: Path, manifest: Path, tmp_path: Path
) -> None:
    """The network, the scale of its scores, the classifier, controls fitted again: all are the run's.

    Controls to the bit; with an encoder to the rounding of float32, since scans stand in other batches.
    """
    source = source_of(manifest)
    for folder in final_runs(copy_of(complete, tmp_path / "root")):
        predict_externally(folder, source)
        config = folder.read_spec().config.progression
        has_encoder = config.uses_encoder
        wanted = {PAIRS: True, SCORES: has_encoder, COMBINED: can_add(config)}
        for own, table in {"predictions": PAIRS, "scores": SCORES, "with_earlier_score": COMBINED}.items():
            path = external_table(folder, external_key(source), table)
            assert path.exists() == wanted[table]
            if path.exists():
                here, there = pd.read_parquet(folder.path / f"{own}.parquet"), pd.read_parquet(path)
                there = there[there["patient"].isin(here["patient"])].reset_index(drop=True)
                tables = [
                    t.drop(columns="scan", errors="ignore") for t in (there, here)
                ]  # by place in cohort
                pd.testing.assert_frame_equal(*tables, check_exact=not has_encoder, rtol=1e-5, atol=1e-6)


def test_a_poisoned_external_cohort_changes_nothing_but_its_own_rows(complete: Path, tmp_path: Path) -> None:
    clean = write_cohort(tmp_path / "clean", patients=4, seed=5, ids="q")
    poisoned = tmp_path / "poisoned" / "manifest.csv"
    shutil.copytree(clean.parent, poisoned.parent)
    table, rng = pd.read_csv(poisoned), np.random.default_rng(1)
    for name in table["path"]:
        write_clip(poisoned.parent / name, int(rng.integers(0, 9)), rng, frames=3)
    table.assign(score=np.resize([477, 40, 40, 477], len(table))).to_csv(poisoned, index=False)
    before = files(complete)
    seen = {}
    for manifest in (clean, poisoned):
        root, source = copy_of(complete, tmp_path / f"root-{manifest.parent.name}"), source_of(manifest)
        for folder in final_runs(root):
            predict_externally(folder, source)
            assert not folder.fault(folder.path.name, models=True), "the run is whole as it was"
            pairs = external_table(folder, external_key(source), PAIRS)
            seen[manifest, folder.path.name] = pd.read_parquet(pairs)
        assert files(root) == before
    for folder in final_runs(complete):
        one, other = (seen[manifest, folder.path.name] for manifest in (clean, poisoned))
        visits = [
            table["pair"].str.partition(":")[2] for table in (one, other)
        ]  # of other scans, other pseudonyms
        assert (visits[0] == visits[1]).all() and (one["y_true"] != other["y_true"]).any()
        if folder.read_spec().config.progression.uses_encoder:
            assert (one["distance"] != other["distance"]).all(), "the poison was there to be read"


def test_predictions_that_are_damaged_or_of_another_run_are_no_predictions(
    complete: Path, tmp_path: Path
) -> None:
    source = source_of(write_cohort(tmp_path / "clean", patients=4, seed=5, ids="q"))
    key = external_key(source)
    one, other = list(final_runs(copy_of(complete, tmp_path / "root")))[:2]
    assert external_fault(one, key, one.path.name) == "not tested yet"
    predict_externally(one, source)
    assert external_fault(one, key, one.path.name) == ""
    listed = one.path / f"external-{key}.json"
    shutil.copy(listed, other.path)
    assert "is of run" in external_fault(other, key, other.path.name)
    path = external_table(one, key, PAIRS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "not the one" in external_fault(one, key, one.path.name)
    path.unlink()
    assert "missing" in external_fault(one, key, one.path.name)
    path.write_bytes(whole)
    listed.write_text("{}")
    assert "damaged" in external_fault(one, key, one.path.name)
