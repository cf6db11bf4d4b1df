"""``study.json``: all that is needed to repeat a study, and the guard against mixing two in one folder."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from learner_ray.cohort import Cohort, load_splits, save_splits, splits_hash
from learner_ray.cohort.covariates import NAMES as COVARIATES
from learner_ray.cohort.flow import cohort_flow
from learner_ray.core.errors import UserError
from learner_ray.core.files import write_json
from learner_ray.run.provenance import git_sha, processor, versions
from learner_ray.study.freeze import ASKED, amended, check_looks, frozen
from learner_ray.study.ledger import protocol
from learner_ray.study.main_table import decision_rule, metric_definition
from learner_ray.study.methods_record import methods_record
from learner_ray.study.plan import Plan
from learner_ray.study.pruner_choice import pruner_text
from learner_ray.study.study import Arm
from learner_ray.study.study_json import read_study, study_hash
from learner_ray.training.selection_metrics import selection_metric

if TYPE_CHECKING:  # loaded where used, as everywhere: Optuna takes a while
    from optuna.distributions import BaseDistribution

IDENTITY = (
    "study",
    "cohort_hash",
    "split_hash",
    "numerics",
    "seed",
    "trials",
    "folds",
    "repeats",
    "division",
    "seeds",
    "pruner",
    "sampler",
    "parallel_trials",
    "development",
    "fixed_at",
    "base",
    "arms",
    "spaces",
    "starts",
)
"""Two studies that differ in any of these may not share a folder."""


DERIVED = (
    "splits.json",
    "content.json",
    "trials.parquet",
    "audits.parquet",
    "finals.parquet",
    "ledger.parquet",
    "scores.parquet",
    "external.parquet",
    "external-scores.parquet",
    "external-content.json",
    "ratings.parquet",
    "optuna.journal",
    "tensorboard",
    "tracked.jsonl",
    "mlflow.db",
    "wandb",
    "looks",
    "runs.jsonl",
)
"""The files that are written again from the plan and the runs' own files where ``study.json`` is gone, and
the looks at the results, which stay counted."""


def describe(
    plan: Plan,
    left_out: list[str],
    *,
    unreadable: Mapping[str, str],
    command: str = "",
    allow_duplicates: bool = False,
) -> dict[str, Any]:
    """The study as plain data; ``command`` is what repeats it, the rest as in :func:`record`."""
    metric = selection_metric(plan.base.progression.selection_metric)
    return {
        "study": plan.study.name,
        "study_file": plan.study.file,  # where a report finds the study's own primary metric
        "modality": plan.study.modality,
        "cohort": _cohort(plan.cohort),
        "cohort_hash": plan.cohort.hash,
        "source": plan.source.record,
        "left_out": left_out,
        "flow": cohort_flow(plan.cohort, unreadable),
        "allow_duplicates": allow_duplicates,
        "protocol": protocol(plan),
        "profile": plan.profile,
        "base": plan.base.to_dict(),
        "set": plan.edits,
        "arms": [_arm(arm, plan.spaces[arm.name]) for arm in plan.arms],
        "space": _distributions(plan.space),
        "spaces": {arm: _distributions(space) for arm, space in plan.spaces.items()},
        "starts": plan.starts,
        "published": _published(plan),
        "reference": plan.study.reference,
        "endpoint": plan.base.progression.endpoint,
        "primary_metric": plan.study.primary_metric,
        "primary_metric_definition": metric_definition(plan.study.primary_metric, plan.study.endpoint),
        "equivalence_margin": plan.study.equivalence_margin,
        "retest_days": plan.study.retest_days,
        "folds": plan.size.folds,
        "repeats": plan.size.repeats,
        **plan.division.record,
        "seeds": plan.size.seeds,
        "trials": plan.size.trials,
        "audits": plan.size.audits,
        "selection_metric": f"{metric.label} on inner validation pairs",
        "seed": plan.settings.seed,
        "pruner": pruner_text(plan.settings.pruner),
        "sampler": plan.settings.sampler,
        "parallel_trials": plan.settings.parallel_trials,
        "closed": None,
        "development": plan.development,
        "fixed_at": _fixed_at(plan),
        "threads": plan.settings.threads,
        "methods": methods_record(plan),
        "numerics": plan.settings.numerics,
        "analysis": decision_rule()["analysis"],
        "split_hash": splits_hash(plan.folds),
        "command": command,
        "versions": versions(),
        "git_sha": git_sha(),
        "hardware": {"machine": platform.machine(), "system": platform.system(), "processor": processor()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _distributions(space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """What is searched, by key, as Optuna's JSON has it."""
    from optuna.distributions import distribution_to_json

    return {key: json.loads(distribution_to_json(values)) for key, values in space.items()}


def _cohort(cohort: Cohort) -> dict[str, Any]:
    return {
        "name": cohort.name,
        "hash": cohort.hash,
        "phantom": cohort.phantom,
        "temporal": cohort.temporal,
        "score": cohort.score.to_dict(),
        **cohort.summary(),
        "class_counts": [int(n) for n in cohort.class_counts()],
        "covariates": _known_covariates(cohort),
    }


def _known_covariates(cohort: Cohort) -> dict[str, int]:
    """The number of pairs whose age, sex, education and SpO2 are known."""
    pairs = cohort.pairs()[[*COVARIATES]]
    return {str(name): int((pairs[name].notna() & (pairs[name] != "")).sum()) for name in pairs}


def _arm(arm: Arm, searched: Iterable[str]) -> dict[str, Any]:
    return {
        "name": arm.name,
        "label": arm.label,
        "edits": dict(arm.edits),
        "control": arm.control,
        "seed_offset": arm.seed_offset,
        # Only where it says something: folders of older versions lack it, and hold the same study.
        **({"epochs_factor": arm.epochs_factor} if arm.epochs_factor != 1 else {}),
        "searched": list(searched),
    }


def _published(plan: Plan) -> dict[str, dict[str, float]]:
    """What each arm's loss was published with, by dotted key, whether or not its search begins there; the
    weight is a raw one."""
    found = {}
    for group in plan.groups:
        loss = group.config.loss
        weight = {} if loss.published_weight is None else {"loss.contrastive_weight": loss.published_weight}
        found[group.arm.name] = {f"loss.{name}": value for name, value in loss.published.items()} | weight
    return {arm: values for arm, values in found.items() if values}


def _fixed_at(plan: Plan) -> dict[str, Any] | None:
    """The search whose settings all arms have, and these settings; None where each arm has its own."""
    if plan.winner is None:
        return None
    settings = [
        {"repeat": r, "fold": f, "values": dict(values)}
        for (r, f), values in sorted(plan.winner.settings.items())
    ]
    return {"folder": plan.winner.folder, "arm": plan.winner.arm, "settings": settings}


def record(
    plan: Plan,
    folder: Path,
    left_out: list[str],
    *,
    unreadable: Mapping[str, str] = MappingProxyType({}),
    command: str = "",
    extend: bool = False,
    allow_duplicates: bool = False,
    looks: int | None = None,
    sample_size: Callable[[], Mapping[str, Any] | None] = lambda: None,
    closed: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes ``study.json`` and ``splits.json`` at the first start; later checks that they are this study's.

    The first start freezes the protocol (``frozen``). What is changed afterwards of what verdicts depend on
    is added to ``amendments``, with its date and the final runs that there were.

    Args:
        plan: the study as asked for now.
        folder: its results folder.
        left_out: what the study leaves out of its data, in sentences.
        unreadable: why a scan cannot be decoded, by scan id.
        command: what repeats the study, quoted for a shell.
        extend: take in more arms, trials, seeds or repeats than the folder's study has.
        allow_duplicates: whether files with the same content were let pass.
        looks: how many looks at the results are declared at the first start; None for one.
        sample_size: works out, at the first start, what the study could find: takes seconds.
        closed: how the searches of a study that runs were closed, where the plan is what is left of it.

    Raises:
        UserError: the folder holds another study, or one whose files were changed, or that declared another
            number of looks.
    """
    now = describe(plan, left_out, unreadable=unreadable, command=command, allow_duplicates=allow_duplicates)
    before = read_study(folder / "study.json")
    if before is not None and closed is not None:
        return _extended(plan, before, now | {"closed": dict(closed)}, folder)
    if before is None:
        _require_unused(folder)
        _check_splits(folder, now["split_hash"])
        now["frozen"], now["amendments"] = frozen(now, folder, looks, sample_size()), []
        return _write(plan, now, folder)
    check_looks(before, looks)
    _check_splits(folder, now["split_hash"], before.get("split_hash"))
    asked = json.loads(json.dumps(now))
    differing = [key for key in IDENTITY if before.get(key) != asked[key]]
    if not differing:
        return _same(plan, before, now, folder)
    grown = _grown(before, asked, plan)
    if stuck := [key for key in differing if key not in grown]:
        raise UserError(
            f"{folder} holds another study (it differs in {', '.join(stuck)}): choose another --out, "
            f"or repeat its own command: {before.get('command')}"
        )
    if not extend:
        raise UserError(
            f"{folder} holds a smaller study (less {', '.join(differing)}): add --extend to extend it"
        )
    return _extended(plan, before, now, folder)


def _extended(plan: Plan, before: dict[str, Any], now: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The record of a study that has more than before, or whose searches were closed."""
    kept = ["created", "frozen", "extended", "external"]  # "extended": of older versions
    if now["trials"] == before["trials"]:
        kept.append("closed")
    now |= {key: before[key] for key in kept if key in before}
    now["amendments"] = amended(before, now, folder)
    return _write(plan, now, folder)


def _same(plan: Plan, before: dict[str, Any], now: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The record of a study that runs what it ran before, though it may be asked something else."""
    amendments = amended(before, now, folder)
    if len(amendments) > len(before.get("amendments") or ()):
        live = {key: now[key] for key in (*ASKED, "analysis")}
        before = {**before, **live, "amendments": amendments}
        _write(plan, before, folder)
    elif not (folder / "splits.json").exists():
        save_splits(plan.folds, folder / "splits.json", plan.division.origin)
    return before


def _write(plan: Plan, study: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Writes a study, and returns it with its hash. Splits first: a folder with them alone is taken for one
    whose study has not begun."""
    save_splits(plan.folds, folder / "splits.json", plan.division.origin)
    study["hash"] = study_hash(study)
    write_json(folder / "study.json", study)
    return study


def _require_unused(folder: Path) -> None:
    """Refuses a folder with files that no study left there. Hidden files and empty folders are what a kill
    leaves, or a copy of emptied object storage."""
    files = [path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file()]
    seen = [parts for parts in files if not any(part.startswith(".") for part in parts)]
    if any(parts[0] not in DERIVED for parts in seen):
        raise UserError(f"{folder} exists and holds no study: choose another --out")


def _check_splits(folder: Path, *known: str | None) -> None:
    """Refuses splits that are there and are neither this plan's nor, before it grew, the study's."""
    path = folder / "splits.json"
    if path.exists() and splits_hash(load_splits(path)) not in known:
        raise UserError(
            f"{path} holds other splits than this study's: restore it; or remove it, and the same command "
            "writes it again; or choose another --out"
        )


def _grown(before: dict[str, Any], asked: dict[str, Any], plan: Plan) -> list[str]:
    """The keys in which what is asked for holds all that was asked for before, and more."""
    grown = [key for key in ("trials", "seeds", "repeats") if asked[key] > before[key]]
    if all(arm in asked["arms"] for arm in before["arms"]):
        grown.append("arms")
    grown += [key for key in ("spaces", "starts") if before.get(key, {}).items() <= asked[key].items()]
    if asked["repeats"] > before["repeats"]:
        kept = [fold for fold in plan.folds if fold.repeat < before["repeats"]]
        if splits_hash(kept) == before["split_hash"]:
            grown.append("split_hash")
    return grown
