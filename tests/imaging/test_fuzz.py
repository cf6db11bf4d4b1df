"""No damaged file of any kind ends a sweep, stops it, or takes much memory: 1,000 of each kind were put
through the gate (docs/log.md); here some are.

``LEARNER_RAY_FUZZ=1000`` damages each so many times; ``python -m tests.imaging.fuzz`` prints a table.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="needs the extra [dicom]")

from learner_ray.imaging import decoder_pool
from tests.imaging.fuzz import KINDS, LIMIT_S, fuzz

MUTATIONS = int(os.environ.get("LEARNER_RAY_FUZZ", "50"))
MOST_MB = 1000


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damage_costs_its_scan_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind.startswith(("mha", "mhd", "nrrd")):
        pytest.importorskip("SimpleITK", reason="needs the extra [itk]")
    monkeypatch.setattr(decoder_pool, "TIME_LIMIT_S", LIMIT_S)
    name, write = KINDS[kind]
    outcome = fuzz(name, write, tmp_path / "scans", MUTATIONS)
    assert not outcome.died and outcome.seconds < LIMIT_S and outcome.peak_mb < MOST_MB
    assert outcome.counts["refused"]
