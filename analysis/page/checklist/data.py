"""What the record has on questions, patients, scans, outcome and partitions."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.figures.flow import numbers_text
from analysis.page.checklist.record import HERE, Evidence, ReportedStudy
from analysis.page.methods_text.inference import sample_size as sample_size_told
from analysis.page.methods_text.record import StudyRecord, counted, words
from analysis.results.endpoints import DECLINE
from analysis.results.flow import pair_numbers
from analysis.results.names import printable
from analysis.tables.captions import design_of


def question(record: ReportedStudy) -> Evidence | None:
    """What was declared to be tested, where the protocol was frozen."""
    study, frozen = record.study, record.study.protocol.frozen
    if not frozen:
        return None
    tested = ", ".join(study.labels.get(arm, arm) for arm in study.protocol.family)
    reference = study.labels.get(study.reference, study.reference)
    return Evidence(value=f"declared: {tested or 'no arm'} against {reference}", at="protocol")


def protocol(record: ReportedStudy) -> Evidence | None:
    """When the protocol was frozen, and how often it was amended."""
    found = record.study.protocol
    if not found.frozen:
        return None
    day, changed = str(found.frozen.get("date"))[:10], len(found.amendments)
    return Evidence(
        value=f"frozen {day} at the first start, amended {counted(changed, 'time')}", at="protocol"
    )


def cohort(record: ReportedStudy) -> Evidence | None:
    """The cohort's name and the hash of its content."""
    name = record.get("cohort.name")
    if name is None:
        return None
    kind = "phantom cohort (synthetic)" if record.get("cohort.phantom") else "cohort"
    value = f"{kind} {printable(str(name))}, content {str(record.get('cohort.hash'))[:12]}"
    return Evidence(value=value, at=record.in_methods(name))


def no_patients(record: ReportedStudy) -> Evidence | None:
    """A phantom cohort has no patients to ask, treat or hide."""
    if not record.get("cohort.phantom"):
        return None
    return Evidence(value="phantom cohort: scans made by a program", applies=False)


def sites(record: ReportedStudy) -> Evidence | None:
    """The number of sites that pairs are of."""
    return _places(record, "site")


def devices(record: ReportedStudy) -> Evidence | None:
    """The number of devices that pairs were scanned with."""
    return _places(record, "device")


def _places(record: ReportedStudy, column: str) -> Evidence | None:
    rows = record.study.compared
    if column not in rows:
        return None
    named = {part for text in rows[column].dropna().astype(str) for part in text.replace("+", ">").split(">")}
    count = len(named - {""})
    at = "validity" if record.check("Class and site or device") else HERE
    return Evidence(value=f"{counted(count, column)}", at=at) if count else None


def preparation(record: ReportedStudy) -> Evidence | None:
    """How scans are made into what an encoder sees."""
    value = record.values("base.data", ("image_size", "frames", "augment", "mm_per_pixel", "levels"))
    return record.stated(value, "pixels", record.get("base.data.image_size"))


def frames(record: ReportedStudy) -> Evidence | None:
    """How many frames or slices of a scan are used."""
    count = record.get("base.data.frames")
    return record.stated(f"{count} frames of each scan" if count else "", count, "frames")


def left_out(record: ReportedStudy) -> Evidence | None:
    """What was left out of the data, by step, where the record says so."""
    at = record.figure("flow")
    steps = record.statistics.flows[0].steps
    if not at or all(step.left_out is None for step in steps[:2]):
        return None
    counts = [count for step in steps for count in step.left_out or ()]
    said = [f"{numbers_text(count.numbers)}: {count.what}" for count in counts] or ["none"]
    said += [f"{step.why.lower()}: not recorded" for step in steps if step.left_out is None]
    return Evidence(value=f"left out: {'; '.join(said)}", at=at)


def listed(record: ReportedStudy) -> Evidence | None:
    """How many scans were listed before any was left out."""
    numbers = record.statistics.flows[0].steps[0].kept.numbers
    at = record.figure("flow")
    return Evidence(value=f"listed: {numbers_text(numbers)}", at=at) if numbers and at else None


def flow(record: ReportedStudy) -> Evidence | None:
    """The flow diagram of a study with analysed pairs."""
    at, numbers = record.figure("flow"), pair_numbers(record.study.compared, record.study.classes)
    return Evidence(value=f"analysed: {numbers_text(numbers)}", at=at) if at and numbers["pairs"] else None


def outcome_counts(record: ReportedStudy) -> Evidence | None:
    """The number of analysed pairs of each class."""
    numbers = pair_numbers(record.study.compared, record.study.classes)
    counts = "/".join(str(numbers[name]) for name in record.study.classes)
    return (
        Evidence(value=f"{'/'.join(record.study.classes)} {counts}", at="comparison")
        if numbers["pairs"]
        else None
    )


def external_flow(record: ReportedStudy) -> Evidence | None:
    """Sizes and classes of an external cohort, beside the study's own."""
    numbers, at = pair_numbers(record.study.external, record.study.classes), record.figure("flow")
    if not at or not numbers["pairs"]:
        return None
    counts = "/".join(str(numbers[name]) for name in record.study.classes)
    return Evidence(
        value=f"external cohort: {numbers_text(numbers)}, {'/'.join(record.study.classes)} {counts}", at=at
    )


def one_cohort(record: ReportedStudy) -> Evidence | None:
    """Folds drawn at random from one cohort are no other data than those of development."""
    if record.get("external") or record.get("places") or record.get("split_hash") is None:
        return None
    return Evidence(value="one cohort in cross-validation, no other data", applies=False)


def outcome(record: ReportedStudy) -> Evidence | None:
    """The score and the change that makes a class."""
    name, change = record.get("cohort.score.name"), record.get("cohort.score.change_threshold")
    if name is None or change is None:
        return None
    unit = f" {record.get('cohort.score.unit')}" if record.get("cohort.score.unit") else ""
    changes = "gets worse" if record.study.endpoint == DECLINE else "changes"
    value = f"{record.classes('or')}: {printable(str(name))} {changes} by {change:g}{printable(unit)} or more"
    return Evidence(value=value, at=record.in_methods(name, change))


def interval(record: ReportedStudy) -> Evidence | None:
    """The days between the two visits of a pair."""
    rows = record.study.compared
    if "interval_days" not in rows:
        return None
    days = rows.drop_duplicates(["patient", "pair"])["interval_days"].astype(float).dropna()
    value = f"days between visits: median {days.median():g}, {days.min():g} to {days.max():g}"
    return Evidence(value=value) if len(days) else None


def covariates(record: ReportedStudy) -> Evidence | None:
    """How many pairs have a known age, sex and further covariates."""
    known = record.get("cohort.covariates")
    known = {name: n for name, n in known.items() if n} if isinstance(known, Mapping) else {}
    value = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in known.items())
    return Evidence(value=f"pairs where known: {value}") if value else None


def partitions(record: ReportedStudy) -> Evidence | None:
    """How patients were divided, and the hash of the file that says so."""
    protocol_text, splits = record.get("protocol"), record.get("split_hash")
    if protocol_text is None or splits is None:
        return None
    value = f"{protocol_text}, by patient: {design_of(record.study)}; splits {splits[:12]}"
    return Evidence(value=value, at=record.in_methods(protocol_text))


def inner_sizes(record: ReportedStudy) -> Evidence | None:
    """Patients in training, validation and test of one fold."""
    roles = {"trial": "search", "validation": "validation", "final": "final training", "test": "test"}
    if record.study.searched_nothing:
        del roles["trial"], roles["validation"]
    known = {name: record.get(f"methods.inner.{role}.patients") for role, name in roles.items()}
    ranges = [f"{name} {n[0]} to {n[1]}" for name, n in known.items() if isinstance(n, list) and len(n) == 2]
    return record.stated(f"patients of a fold: {', '.join(ranges)}" if ranges else "", "a fold tests")


def disjoint(record: ReportedStudy) -> Evidence | None:
    """The check that no patient is on both sides."""
    check = record.check("Patient disjointness")
    return Evidence(value=f"patient; check {check.status}", at="validity") if check else None


def sample_size(record: ReportedStudy) -> Evidence | None:
    """The calculation of the sample size that was stored when the protocol was frozen."""
    found = record.get("frozen.sample_size")
    if not isinstance(found, Mapping):
        return None
    known = {key: value for key, value in found.items() if isinstance(value, int | float | str)}
    if found.get("difference", 0) is None:
        known["difference"] = "none found" if found.get("known") else "not known"
    plain = [f"{key.replace('_', ' ')} {words(value)}" for key, value in known.items() if key != "known"]
    told = sample_size_told(StudyRecord(record.study)).text
    return Evidence(value=", ".join(plain) or "recorded", at=record.in_methods(told) if told else HERE)
