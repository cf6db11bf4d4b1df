"""Methods: the progression classifier, the search, and the final runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.page.methods_text.record import (
    Paragraph,
    StudyRecord,
    counted,
    joined,
    labels,
    sentence,
    words,
)
from analysis.results.names import printable

INPUTS = {
    "difference": "the difference of the two embeddings, later minus earlier",
    "both": "the earlier embedding and the difference",
    "score_difference": "the difference of the predicted scores",
    "earlier_score": "the earlier score alone",
    "metadata": "interval, site and device",
    "covariates": "interval, site, device, age, sex and education",
    "nothing": "nothing, so that class shares are predicted",
}
PATIENTS = {
    "same": "on the patients of pretraining",
    "held_out": "on training patients kept out of pretraining",
}
FITTED = {
    "consecutive": "pairs of consecutive visits",
    "ordered": "every two visits of a patient, in both orders",
}
DECISIONS = {
    "prior": "the class with the largest probability relative to its share in training",
    "argmax": "the class with the largest probability",
}


def _in(names: Mapping[str, str]) -> Any:
    return lambda value: names.get(value, words(value)) if isinstance(value, str) else words(value)


def classifier(record: StudyRecord) -> Paragraph:
    """How worse, same or better is read off two visits."""
    arms, practice = record.study.arms, ("methods", "practice", "classifier")
    heads = {record.setting(arm, "progression.head").value for arm in arms}
    described = {
        str(name): words((of or {}).get("text"))
        for name, of in (record.get(*practice, "heads") or {}).items()
        if name in heads
    }
    shuffled = [arm.label for arm in arms if record.setting(arm, "progression.shuffle_labels").value is True]
    return Paragraph(
        "Progression classifier",
        joined(
            sentence(
                "Classifier: {head}{described}; ridge penalty: {penalty}{relative}{scaled}.",
                head=record.across("progression.head", arms),
                described="".join(f" ({text})" for text in described.values()),
                penalty=record.across("progression.l2", arms),
                relative=sentence(", {to}", to=record.get(*practice, "penalty")),
                scaled=sentence(", on inputs {how}", how=record.get(*practice, "inputs")),
            ),
            sentence("Input: {input}.", input=record.across("progression.input", arms, _in(INPUTS))),
            sentence(
                "It was fitted {patients}, to {pairs}.",
                patients=record.across("progression.patients", record.with_encoder, _in(PATIENTS)),
                pairs=record.across("progression.pairs", record.with_encoder, _in(FITTED)),
            ),
            sentence("Of visits with several scans, {how}.", how=record.get(*practice, "several_scans")),
            sentence(
                "Predicted: {decision}.", decision=record.across("progression.decision", arms, _in(DECISIONS))
            ),
            _finetuning(record),
            sentence("Classes were permuted before the fit in: {arms}.", arms=shuffled or None),
        ),
    )


def _finetuning(record: StudyRecord) -> str:
    arms = record.with_encoder
    epochs = record.across("progression.finetune_epochs", arms)
    if epochs in (None, "0"):
        return sentence("Epochs of end-to-end fine-tuning: {epochs}.", epochs=epochs)
    return sentence(
        "Epochs of end-to-end fine-tuning in final runs: {epochs}, at a learning rate of {rate}, by {how}.",
        epochs=epochs,
        rate=record.across("progression.finetune_lr", arms),
        how=record.get("methods", "practice", "classifier", "finetuning"),
    )


def search(record: StudyRecord) -> Paragraph:
    """What was searched, how trials were suggested, stopped and judged."""
    fixed = record.get("fixed_at")
    if fixed:
        return Paragraph(
            "Search",
            sentence(
                "{nothing}: in every fold all arms had the setting that the search of the arm {arm} had "
                "chosen "
                "there, in the study {folder}.",
                nothing="Nothing was searched",
                arm=record.get("fixed_at", "arm"),
                folder=str(record.get("fixed_at", "folder") or "").rpartition("/")[2] or None,
            ),
        )
    if not record.searched:
        none = "Nothing was searched; every arm trained its own settings"
        return Paragraph("Search", sentence("{none}.", none=none if record.study.searched_nothing else None))
    return Paragraph("Search", joined(_extent(record), _suggested(record), _stopped(record), _judged(record)))


def _extent(record: StudyRecord) -> str:
    trials = counted(record.get("trials"), "trial")
    where = {
        True: "in the first fold alone, and its choice was frozen for all others, whose test patients had "
        "therefore taken part in it",
        False: "anew in every fold",
    }.get(record.get("development"))
    return joined(
        sentence(
            '{arms} had a search of {trials} each, {where}; the table "What each arm searched" has keys, '
            "ranges and "
            "first values.",
            arms=labels(record.searched),
            trials=trials,
            where=where,
        ),
        _closed(record),
        sentence(
            "Not searched: {others}.",
            others=labels(arm for arm in record.study.arms if not arm.searched),
        ),
    )


def _closed(record: StudyRecord) -> str:
    """How the searches were closed before their planned end, if they were."""
    if record.get("closed") is None:
        return ""
    return sentence(
        "Planned were {planned} of each search: the limit {by} closed all at that smaller number, by a "
        "forecast of time alone and without regard to scores; {unused} beyond it had ended (device time: "
        "{seconds} s), and did not count.",
        planned=counted(record.get("closed", "planned_trials"), "trial"),
        by=record.get("closed", "by"),
        unused=counted(record.get("closed", "unused_trials"), "trial"),
        seconds=record.get("closed", "unused_device_seconds"),
    )


def _suggested(record: StudyRecord) -> str:
    sampler = ("methods", "search", "sampler")
    random = record.get(*sampler, "random_trials")
    trials, at_a_time = record.get("trials"), record.get("parallel_trials")
    lag = (
        f", each suggested, and stopped, by what is known of those with numbers smaller by {2 * at_a_time} "
        "or more"
        if isinstance(at_a_time, int) and at_a_time > 1
        else ""
    )
    others = {"population": "population of {}", "levels": "{} values of a real number"}
    more = [
        text.format(words(n)) for key, text in others.items() if (n := record.get(*sampler, key)) is not None
    ]
    all_random = isinstance(random, int) and isinstance(trials, int) and trials <= random
    return joined(
        sentence(
            "Sampler: {name} ({class_}Optuna {version}{more}).",
            name=record.get("sampler"),
            class_=sentence("{name}, ", name=record.get(*sampler, "class")),
            version=record.get("versions", "optuna"),
            more="".join(f"; {text}" for text in more),
        ),
        sentence(
            "After the first trial it draws at random until {random} have ended{all_random}.",
            random=random,
            all_random=", so here throughout" if all_random else "",
        ),
        sentence(
            "The first trial of every search has the {first}.",
            first="values of the table's column Start" if record.get("starts") else None,
        ),
        sentence("Trials of one search ran {n} at a time{lag}.", n=at_a_time, lag=lag),
    )


def _stopped(record: StudyRecord) -> str:
    said = []
    pruners = record.get("methods", "search", "pruner") or {}
    for epochs, own in pruners.items() if isinstance(pruners, Mapping) else ():
        known = {key: own.get(key) for key in ("text", "eta", "source")} if isinstance(own, Mapping) else {}
        details = [
            words(known[key]) if key != "eta" else f"eta {words(known[key])}" for key in known if known[key]
        ]
        rungs = own.get("rungs") if isinstance(own, Mapping) else None
        if rungs is not None:
            after = f"rungs after epochs {words(rungs)}" if rungs else "no rung"
            details.append(f"{after} in {printable(str(epochs))} epochs")
        said.append("; ".join(details))
    return sentence(
        "Pruner: {name}{details}.",
        name=record.get("pruner"),
        details="".join(f" ({text})" for text in dict.fromkeys(said) if text),
    )


def _judged(record: StudyRecord) -> str:
    return joined(
        sentence(
            "Selected were the trial and the epoch with the highest {metric}{epochs}.",
            metric=record.get("selection_metric"),
            epochs=sentence(
                ", among epochs of the {part}", part=record.get("methods", "search", "selected_epochs")
            ),
        ),
        sentence(
            "The selected trial was trained again under {audits}, on its own patients, to show how much of "
            "its score was luck.",
            audits=counted(record.get("audits") or None, "other seed"),
        ),
    )


def final_runs(record: StudyRecord) -> Paragraph:
    """What was tested: how often, after which training."""
    return Paragraph(
        "Final runs",
        joined(
            sentence(
                "In every fold each arm was trained with {seeds} and tested.",
                seeds=counted(record.get("seeds"), "seed"),
            ),
            sentence("{pairing}.", pairing=_capital(record.get("methods", "pairing"))),
            sentence("Of searched arms, {how}.", how=record.get("methods", "search", "final_runs")),
        ),
    )


def _capital(text: Any) -> str | None:
    return None if text is None else words(text)[:1].upper() + words(text)[1:]
