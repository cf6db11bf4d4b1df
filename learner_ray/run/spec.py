"""The specification of a run: its configuration, patients and cohort, and the hash that names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.core.numerics import NUMERICS, UNNAMED
from learner_ray.core.old_names import SECTIONS
from learner_ray.run.integrity import DamagedError
from learner_ray.run.old_names import config_then


@dataclass(frozen=True, kw_only=True)
class Patients:
    """The very patients a run may see, by role. Roles are disjoint, except that a classifier may be fitted on
    the patients of pretraining."""

    pretrain: tuple[str, ...] = ()
    classifier: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        fitted = {*self.pretrain, *self.classifier}
        if fitted & {*self.validation, *self.test} or {*self.validation} & {*self.test}:
            raise ValueError("a patient who is fitted on may be neither validated nor tested on")

    @property
    def trained(self) -> tuple[str, ...]:
        """The patients of pretraining and of the classifier. A run knows the scores of all of them, also of
        those whose scans its classifier has not seen."""
        return tuple(dict.fromkeys((*self.pretrain, *self.classifier)))


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a run finds its cohort; not part of its identity, which holds the cohort's hash instead."""

    path: str
    """A manifest or folder, or ``phantom:<modality>``."""
    format: str | None = None
    """The layout of a folder (``--format``); None where it is recognised."""
    modality: str = "lus"
    """Modality of the scans, which decides the score where the data state none."""
    cohort_hash: str = ""
    """Hash of the cohort that the run was planned with; empty where any will do."""
    missing: tuple[str, ...] = ()
    """Codes that stand for "no score" in the cohort's table."""
    bad_scans: tuple[str, ...] = ()
    """Scans left out under ``--skip-bad``."""
    study_file: str = ""
    """The study file that defines components of the run; empty where none is the user's own."""
    components: tuple[tuple[str, str], ...] = ()
    """Kind and version of each component that does not come with this package: part of the run's identity."""
    study_file_hash: str = ""
    """SHA-256 of the study file, which was a component's identity at commit 3590708."""
    covariates_hash: str = ""
    """Hash of age, sex and education, where the run's classifier sees them: part of its identity."""
    contents: str = ""
    """Path or URL of the list of the cohort's files and their hashes; empty where there is none."""

    @property
    def record(self) -> dict[str, Any]:
        """What ``study.json`` says of it, as plain values."""
        return {"path": self.path, "format": self.format, "missing": list(self.missing)}


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """All that is needed to train one trial or final run on any machine."""

    config: Config
    patients: Patients
    source: Source
    threads: int = 1
    numerics: int = NUMERICS
    """The number of what is computed from the configuration: see :mod:`learner_ray.core.numerics`."""
    recorded_hash: str = field(default="", compare=False)
    """Hash under which a run that was read from its file is stored: an older version had fewer keys."""

    @property
    def is_final(self) -> bool:
        """Whether this is a final run, which is tested, and not a trial of a search."""
        return bool(self.patients.test)

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits that name the run, taken over its configuration, cohort, patients and
        numerics."""
        return self.recorded_hash or self._hash(config_then(self.config.to_dict()))

    def _hash(self, config: Mapping[str, Any]) -> str:
        identity: dict[str, Any] = {
            "config": config,
            "cohort": self.source.cohort_hash,
            "bad_scans": sorted(self.source.bad_scans),
            "patients": {role: sorted(who) for role, who in vars(self.patients).items()},
        }
        if self.numerics != UNNAMED:  # where it is, the hash is that of the versions that had no number
            identity["numerics"] = self.numerics
        if self.source.covariates_hash:
            identity["covariates"] = self.source.covariates_hash
        if self.source.study_file_hash:
            identity["study_file"] = self.source.study_file_hash
        elif self.source.components:
            identity["components"] = dict(self.source.components)
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The specification as plain values, the content of ``config.json``."""
        source = asdict(self.source)
        # Beside the source: a version that does not know them refuses unknown keys in it.
        beside = {key: source.pop(key) for key in ("contents", "covariates_hash", "missing")}
        source["components"] = dict(self.source.components)
        return {
            "run_hash": self.hash,
            "config": self.config.to_dict(),
            "numerics": self.numerics,
            "patients": asdict(self.patients),
            "source": source,
            **beside,
            "threads": self.threads,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunSpec:
        """The specification that ``to_dict`` described, in this version or an older one with fewer keys,
        which then have their defaults.

        Raises:
            DamagedError: the dictionary describes no run, or was edited so that its hash no longer fits.
        """
        try:
            patients = Patients(**{role: tuple(who) for role, who in values["patients"].items()})
            known = {key.name for key in fields(Source)}
            source = {key: value for key, value in values["source"].items() if key in known}
            source |= {
                "missing": tuple(values.get("missing", ())),
                "bad_scans": tuple(source.get("bad_scans", ())),
                "components": tuple(sorted(source.get("components", {}).items())),
                "contents": values.get("contents", ""),
                "covariates_hash": values.get("covariates_hash", ""),
            }
            spec = cls(
                config=Config.from_dict(values["config"]),
                patients=patients,
                source=Source(**source),
                threads=values["threads"],
                numerics=values.get("numerics", UNNAMED),
                recorded_hash=values["run_hash"],
            )
            described = spec._hash(_as_hashed(values["config"]))
        except (UserError, KeyError, TypeError, AttributeError, ValueError) as error:
            reason = str(error).partition(";")[0]
            raise DamagedError(f"config.json is not that of a run ({reason})") from error
        if described != spec.recorded_hash:
            raise DamagedError(
                f"config.json was changed: it says run {spec.recorded_hash} but describes run {described}"
            )
        return spec


def _as_hashed(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A recorded configuration under the names that hashes are taken over: a version of other names hashed
    what it wrote, with the keys it had."""
    return config if SECTIONS.keys() & config.keys() else config_then(config)
