"""An external cohort: scans from elsewhere on which every final run is tested, and which nothing else sees.

It is no part of a run's identity: a complete study is tested on one later, by the same command with
``--test-data``, and trains nothing for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learner_ray.cohort import Cohort
from learner_ray.cohort.faults import all_listed
from learner_ray.cohort.flow import cohort_flow
from learner_ray.cohort.listing import content_list
from learner_ray.core.errors import UserError
from learner_ray.core.files import write_json
from learner_ray.imaging.gate import decode, inspect, warnings
from learner_ray.imaging.source import open_cohort, with_layout
from learner_ray.run.external_files import external_key
from learner_ray.run.object_storage import StoredFolder, is_url
from learner_ray.run.spec import Source
from learner_ray.study.external_checks import require_alike, require_apart, require_other_scans
from learner_ray.study.study_json import read_study, study_hash

if TYPE_CHECKING:
    from learner_ray.study.inputs import Request
    from learner_ray.study.plan import Plan

logger = logging.getLogger(__name__)

LEDGER, SCORE_TABLE = "external.parquet", "external-scores.parquet"
CONTENT = "external-content.json"
"""The list of the external cohort's files and their hashes, in the results folder."""


@dataclass(frozen=True, kw_only=True)
class External:
    """An external cohort that goes with the cohort of a study."""

    cohort: Cohort
    source: Source
    left_out: tuple[str, ...] = ()
    """What is left out of it, or taken in though it is odd, in sentences."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Why a scan cannot be decoded, by scan id."""
    contents: Mapping[str, Any] = field(default_factory=dict)
    """The list of its files and their hashes, once they were read."""

    @property
    def key(self) -> str:
        """Names its predictions in the folder of a run."""
        return external_key(self.source)

    @property
    def words(self) -> str:
        """The cohort in a line."""
        counts, facts = self.cohort.class_counts(), self.cohort.summary()
        kind = "phantom cohort" if self.cohort.phantom else "cohort"
        return (
            f"External {kind} {self.cohort.name}, on which final runs are tested: {facts['patients']} "
            f"patients, {facts['scans']} scans, {facts['pairs']} pairs (worse/same/better "
            f"{counts[0]}/{counts[1]}/{counts[2]})"
        )

    def summary(self, folder: Path, failed: Mapping[str, str]) -> str:
        """What came of the tests, in lines.

        Args:
            folder: the study's results folder.
            failed: why a final run could not be tested, by its readable name.
        """
        lines = [f"{self.words}; rows in {folder / LEDGER}"]
        if failed:
            lines.append(f"{len(failed)} final run{'s' * (len(failed) > 1)} could not be tested there:")
        return "\n".join([*lines, *(f"  {label}: {reason}" for label, reason in failed.items())])

    @property
    def record(self) -> dict[str, Any]:
        """What ``study.json`` says of it, as plain values."""
        cohort, source = self.cohort, self.source
        return {
            "name": cohort.name,
            "cohort_hash": cohort.hash,
            "phantom": cohort.phantom,
            "temporal": cohort.temporal,
            "score": cohort.score.to_dict(),
            **cohort.summary(),
            "source": source.record,
            "bad_scans": len(source.bad_scans),
            "left_out": list(self.left_out),
            "flow": cohort_flow(cohort, self.unreadable),
        }


def external_source(request: Request) -> Source | None:
    """Where the external cohort lies that a sweep is asked to test on; None where it is asked for none."""
    options, path = request.options, request.options.test_data
    if path is None:
        return None
    if is_url(path):
        path = StoredFolder.at(path).url
    else:
        try:
            path = str(Path(path).expanduser().resolve())  # other processes have other working directories
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"--test-data {path}: {error}; give a manifest (.csv, .tsv) or a data folder"
            ) from error
    return Source(
        path=path, format=options.test_format, modality=request.study.modality, missing=options.missing
    )


def read_external(request: Request, cohort: Cohort) -> External | None:
    """The external cohort of a request, as far as tables and headers tell; None where there is none.

    Raises:
        UserError: it does not pass the gate, or does not go with the study's cohort.
    """
    source = external_source(request)
    if source is None:
        return None
    with all_listed(request.results.faults):
        source = with_layout(source)
        found = open_cohort(source)
        options = request.options
        inspect(found, folds=(), skip_bad=options.skip_bad, most_gb=options.max_scan_gb)
        require_alike(cohort, found)
        require_apart(cohort, found)
    return External(cohort=found, source=source)


def read_external_scans(
    external: External, plan: Plan, request: Request, progress: Callable[[int, int], None]
) -> External:
    """Reads the scans of an external cohort, once, through the same gate as the study's own.

    Args:
        external: as its table describes it.
        plan: of the study, whose cohort's scans were read.
        request: what the study was planned from.
        progress: called with the number of scans read so far and of all.

    Raises:
        UserError: scans cannot be read, have the same content, or are the study's own.
    """
    options = request.options
    with all_listed(request.results.faults):
        decoded = decode(
            external.cohort,
            plan.base.data.pixels,
            skip_bad=options.skip_bad,
            allow_duplicates=options.allow_duplicates,
            most_gb=options.max_scan_gb,
            progress=progress,
        )
        require_other_scans(plan.cohort, decoded.cohort)
    if lines := warnings(decoded.bad_scans):
        logger.warning("\n".join(lines))
    source = replace(
        external.source,
        cohort_hash=decoded.cohort.hash,
        bad_scans=tuple(sorted(decoded.cache.bad)),
        contents=request.results.address_of(CONTENT),
    )
    kept = [f"{sentence} (kept; see {CONTENT})" for sentence in decoded.oddities]
    return External(
        cohort=decoded.cohort,
        source=source,
        left_out=(*decoded.cohort.notes, *(bad.unnamed for bad in decoded.cache.bad.values()), *kept),
        unreadable=decoded.unreadable,
        contents=content_list(decoded.cohort, decoded.stamps, decoded.cache.looks),
    )


def refuse_another(external: External | None, study: Mapping[str, Any] | None, folder: Path) -> None:
    """Refuses another external cohort than the one that a study was tested on. To be called before anything
    of a command is recorded: what is refused must leave no trace.

    A study has one: whose results one has seen is chosen no more. Another goes with another results folder
    below the same root, which shares the runs and trains nothing again.

    Args:
        external: whose scans were read; None where none is asked for.
        study: what ``study.json`` says; None where there is none.
        folder: the study's results folder.

    Raises:
        UserError: it is another, or its content has changed.
    """
    before = (study or {}).get("external")
    if external is None or not before:
        return
    now = external.record
    if any(before.get(key) != now[key] for key in ("cohort_hash", "bad_scans")):
        raise UserError(
            f"{folder} was tested on the external cohort {before.get('name')} of other content (hash "
            f"{str(before.get('cohort_hash'))[:12]}, now {now['cohort_hash'][:12]}): restore it; or "
            f"choose another --out beside {folder}, which shares its runs and trains nothing again"
        )


def remember(external: External | None, folder: Path) -> None:
    """Writes what a study's folder says of an external cohort: in ``study.json``, and the list of its files.

    Args:
        external: whose scans were read, and which ``refuse_another`` let pass; None where none was asked for,
            and then a study that has one says that new final runs are not tested on it.
        folder: the study's results folder, which holds its ``study.json``.
    """
    study = read_study(folder / "study.json")
    assert study is not None, "the study is recorded first"
    before = study.get("external")
    if external is None:
        if before:
            logger.info(
                f"This study is tested on the external cohort {before['name']}, too: with --test-data "
                f"{before['source']['path']} final runs are tested there that were not yet"
            )
        return
    if not before:
        added = datetime.now(UTC).isoformat(timespec="seconds")
        study["external"] = {**external.record, "added": added}
        study["hash"] = study_hash(study)
        write_json(folder / "study.json", study)
    write_json(folder / CONTENT, dict(external.contents))
