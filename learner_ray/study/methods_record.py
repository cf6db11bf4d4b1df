"""What ``study.json`` keeps so that a report can tell the methods from the record alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from learner_ray.cohort.splits import PARTS
from learner_ray.core.components import ENCODERS, LOSSES
from learner_ray.core.config import Config, LossConfig, field_meanings, flatten
from learner_ray.core.described import described
from learner_ray.study.chosen_on import chosen_on
from learner_ray.study.plan import Plan, config_of
from learner_ray.study.pruner_choice import pruner_record
from learner_ray.study.samplers import sampler_record
from learner_ray.study.study import Arm
from learner_ray.training.practice import practice

DEALT = "iterative stratification of whole patients by class (Sechidis et al. 2011)"


def methods_record(plan: Plan) -> dict[str, Any]:
    """The methods of a study as plain values: what its configuration, as recorded, does not say by itself.

    Keys: ``configurations``, by arm what of its configuration differs from the base, with the values in
    effect; ``components``, what losses and encoders say of themselves; ``inner``, who trains, validates and
    is tested; ``search``; ``pairing``, how the arms' seeds are related; ``practice``, what every run does
    (:mod:`learner_ray.training.practice`); and ``defaults``, those that were chosen on this cohort.
    """
    configs = {arm.name: config_of(arm, plan.base, plan.edits) for arm in plan.arms}
    return {
        "configurations": {arm: _configuration(plan.base, config) for arm, config in configs.items()},
        "components": _components(configs.values()),
        "inner": _inner(plan),
        "search": _search(plan, configs),
        "pairing": _pairing(plan.arms),
        "practice": practice(),
        "defaults": chosen_on(
            plan.cohort,
            plan.source,
            [configs[arm.name] for arm in plan.arms if not arm.control],
            searched=any(plan.spaces.values()),
        ),
    }


def _configuration(base: Config, config: Config) -> dict[str, Any]:
    """The values of an arm that are not the base's. Views are always told: 0 stands for the loss's own."""
    common, own = flatten(base.to_dict()), config.in_effect()
    if config.pretrains:
        own["loss.views"] = LOSSES.get(config.loss.name).views_of(config.loss)
    absent = object()
    values = {key: value for key, value in own.items() if common.get(key, absent) != value}
    return {"uses_encoder": config.progression.uses_encoder, "pretrains": config.pretrains, "values": values}


def _components(configs: Iterable[Config]) -> dict[str, Any]:
    used = [config for config in configs if config.progression.uses_encoder]
    losses = sorted({config.loss.name for config in used if config.pretrains} - {"mse"})  # it adds no term
    encoders = sorted({config.encoder.name for config in used})
    return {
        "losses": {name: described(LOSSES.get(name)) | _settings(name) for name in losses},
        "encoders": {name: described(ENCODERS.get(name)) for name in encoders},
    }


def _settings(loss: str) -> dict[str, Any]:
    """What the settings mean that only this loss has, and which pairs it compares whatever is set."""
    own = {
        name: text.replace("`", "").split(";")[0].rstrip(".")
        for name, text in field_meanings(LOSSES.config_class(loss)).items()
        if name not in field_meanings(LossConfig)
    }
    pairs = LOSSES.get(loss).own_pairs
    return ({"settings": own} if own else {}) | ({"pairs": pairs} if pairs else {})


def _inner(plan: Plan) -> dict[str, Any]:
    """How training patients are divided, and the fewest and most patients and pairs of every role."""
    pairs = plan.cohort.pairs()["patient"].value_counts()

    def sizes(of_folds: list[list[str]]) -> dict[str, list[int]]:
        counts = [len(patients) for patients in of_folds]
        held = [int(pairs.reindex(patients).fillna(0).sum()) for patients in of_folds]
        return {"patients": [min(counts), max(counts)], "pairs": [min(held), max(held)]}

    folds = plan.folds
    return {
        "dealt_by": DEALT,
        "test_dealt_by": DEALT if plan.division.words == "" else plan.division.words,
        "parts": PARTS,
        "validation_parts": 1,
        "trial": sizes([[p for part in fold.parts[1:] for p in part] for fold in folds]),
        "validation": sizes([[*fold.parts[0]] for fold in folds]),
        "final": sizes([[p for part in fold.parts for p in part] for fold in folds]),
        "test": sizes([[*fold.test] for fold in folds]),
    }


def _search(plan: Plan, configs: dict[str, Config]) -> dict[str, Any] | None:
    """The search of every arm; None where none is searched."""
    searched = [arm for arm in plan.arms if plan.spaces[arm.name]]
    if not searched:
        return None
    lengths = sorted({configs[arm.name].train.epochs for arm in searched})
    return {
        "sampler": sampler_record(plan.settings.sampler),
        "pruner": {str(epochs): pruner_record(plan.settings.pruner, epochs) for epochs in lengths},
        "selected_epochs": "later half of the schedule",
        "final_runs": "the selected setting was trained again from the beginning on all training patients "
        "of the "
        "fold, up to the selected epoch of the schedule; there were no validation patients then",
    }


def _pairing(arms: Sequence[Arm]) -> str:
    """How the seeds of arms are related."""
    own = [arm.name for arm in arms if arm.seed_offset]
    return " but ".join(["all arms had the same seeds", *([", ".join(own)] if own else [])])
