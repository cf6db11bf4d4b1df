"""A cohort made to be recognised: names, ids and dates that occur nowhere else, in every place where a real
one has them, and a search for them in all that a program wrote.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tests.imaging.make_dicom import write_dicom

PATIENTS, VISITS = 12, 3

MARKS = {
    "id in the table": rb"zqid-?\d{6}",
    "name in a path": rb"zqmuster",
    "name in a tag": rb"zqdoe",
    "hospital": rb"zqklinik",
    "visit by date": rb"1947[-./]?0[1-9][-./]?1\d|1\d[-./]0[1-9][-./]1947",
    "birthday in a tag": rb"19131224",
    "name in an exception": rb"zqraised",
    "scan by its file": rb"zqclip",
}
"""What a search looks for, without regard to case."""

STUDY = '''
"""An arm whose loss fails in words that name a file and a patient, as a library's error may."""

from learner_ray.core.config import Config, DataConfig, EncoderConfig, TrainConfig
from learner_ray.losses import Loss
from learner_ray.study.study import Arm, Study


class Failing(Loss):
    """Fails at its first batch."""

    name = "failing"

    def compute(self, batch):
        raise ValueError("cannot read /data/Zqklinik/Zqraised_Anna_19131224/scan.mp4 of ZQID-471100")


def space(suggest, config):
    suggest.real("train.lr", 3e-4, 3e-3, log=True)


STUDY = Study(
    name="marked",
    modality="lus",
    base=Config(
        data=DataConfig(image_size=32, frames=2),
        encoder=EncoderConfig(shift_fraction=0.25),
        train=TrainConfig(epochs=2, lr=1e-3, batch_size=16),
    ),
    arms=(
        Arm(name="mse", label="MSE Loss"),
        Arm(name="failing", label="Failing", edits={"loss.name": "failing"}),
    ),
    default_arms=("mse", "failing"),
    reference="mse",
    space=space,
)
'''


def record_number(patient: int) -> str:
    """The id of a patient, one of a million."""
    return f"ZQID-{471_100 + 37 * patient:06d}"


def write_marked(root: Path, *, seed: int = 0, first: int = 0) -> Path:
    """Writes DICOM clips and their manifest, one clip of which is damaged.

    Args:
        root: the folder above that of the hospital.
        seed: of the pixels.
        first: number of the first patient.
    """
    rng = np.random.default_rng(seed)
    folder = root / "Zqklinik" / "cohort"  # the last part is the cohort's name, which a report shows
    lines = ["path,patient,visit,date,score,site"]
    for patient in range(first, first + PATIENTS):
        own = folder / f"Zqmuster_Anna_{record_number(patient)}"
        own.mkdir(parents=True)
        bars = np.cumsum([3, *rng.permutation([-1, 0, 1])[: VISITS - 1]])
        for number, count in enumerate(bars, start=1):
            date = f"1947-0{number}-1{patient % 10}"
            path = own / f"Zqclip_{date}.dcm"
            frames = rng.normal(60, 20, (4, 48, 48))
            for bar in range(count):
                frames[:, :, 6 + 9 * bar : 9 + 9 * bar] += 120
            tags = {"PatientID": record_number(patient), "PatientName": "Zqdoe^Berta"}
            tags |= {"StudyDate": date.replace("-", ""), "PatientBirthDate": "19131224"}
            tags |= {"InstitutionName": "Zqklinik", "BurnedInAnnotation": "YES" if number == 1 else "NO"}
            write_dicom(path, np.clip(frames, 0, 255).astype(np.uint8), **tags)
            cells = [path.relative_to(folder), record_number(patient), date.replace("-", ""), date]
            lines.append(",".join(map(str, [*cells, 450 - 50 * int(count), "north"])))
    bad = folder / f"Zqmuster_Anna_{record_number(first)}" / f"Zqclip_1947-0{VISITS}-1{first % 10}.dcm"
    bad.write_bytes(bad.read_bytes()[:-3000])
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def found_in(paths: Iterable[Path], root: Path) -> dict[str, set[str]]:
    """The marks in the names and in the bytes of files, by the file's path from a root."""
    found = {}
    for path in paths:
        name = str(path.relative_to(root))
        marks = {
            f"{mark}, in the name" for mark, sign in MARKS.items() if re.search(sign, name.encode(), re.I)
        }
        if path.is_file():
            marks |= {
                mark for mark, sign in MARKS.items() for text in texts(path) if re.search(sign, text, re.I)
            }
        if marks:
            found[name] = marks
    return found


def texts(path: Path) -> Iterator[bytes]:
    """What a file holds as it is, and what it holds packed, as PDF and Parquet files do."""
    content = path.read_bytes()
    yield content
    yield content.replace(b"\0", b"")  # UTF-16
    if path.suffix == ".parquet":
        yield pd.read_parquet(io.BytesIO(content)).to_csv().encode()
    if content.startswith(b"%PDF"):
        for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
            yield zlib.decompressobj().decompress(stream) if stream[:1] == b"x" else stream
