"""CAPS, the folders that Clinica writes (aramislab.paris.inria.fr/clinica): images processed from BIDS.

``subjects/sub-X/ses-Y/t1_linear/*_T1w.nii.gz`` is registered to MNI space, so visits of a patient show the
same part of the head.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from learner_ray.cohort.sources.bids import description, image_of, subject_folders, with_tables
from learner_ray.cohort.sources.importer import (
    Evidence,
    Found,
    FoundScan,
    Importer,
    ImportOptions,
    Progress,
)
from learner_ray.core.errors import UserError

PIPELINE = "t1_linear"
"""The folder of images that is taken unless another is named."""
CROPPED = "desc-crop"
"""What the names of images that were cropped to the head hold, in lower case: they are preferred."""


class Caps(Importer):
    """Images processed by Clinica; the scores stand in the BIDS data set they came from, or in a table."""

    name = "caps"
    needs = "subjects/sub-*/ses-*/, and CAPSVersion in dataset_description.json"

    def evidence(self, path: Path) -> Evidence | None:
        if not subject_folders(path / "subjects"):
            return None
        if "CAPSVersion" in description(path):
            return Evidence(sure="certain", because="CAPSVersion in dataset_description.json")
        return Evidence(
            sure="likely", because="subjects/sub-*, but no CAPSVersion in dataset_description.json"
        )

    def find(self, path: Path, options: ImportOptions, progress: Progress) -> Found:
        pipeline = options.derivative or PIPELINE
        scans: list[FoundScan] = []
        for subject in subject_folders(path / "subjects"):
            for session, image in _images(subject, pipeline):
                progress(len(scans), "images")
                scan = image_of(image, subject.name, session, options)
                if not options.space or f"_space-{options.space}_" in image.name:
                    scans.append(scan)
        if not scans:
            raise UserError(
                f"{path} holds no image in {pipeline}; name the folder of a session in --derivative"
            )
        found = Found(scans=scans, scores=[], notes=[f"images: {pipeline}, one per session"], modality="mri")
        if options.bids is None and options.scores is None:
            raise UserError(
                f"{path} holds images alone: give --bids FOLDER, the data set they were made from, or "
                "--scores TABLE"
            )
        return with_tables(found, options.bids or path, options)


def _images(subject: Path, pipeline: str) -> Iterator[tuple[Path, Path]]:
    """The sessions of a subject with their images, cropped ones where there are any."""
    for session in sorted(subject.glob("ses-*")):
        images = sorted((session / pipeline).glob("*_T1w.nii*"))
        cropped = [image for image in images if CROPPED in image.name.casefold()]
        for image in cropped or images:
            yield session, image
