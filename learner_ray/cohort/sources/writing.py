"""The files of an import: a manifest, its sidecar, and the list of what was left out."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from learner_ray.cohort.dates import Moment
from learner_ray.cohort.labels import parse_label
from learner_ray.cohort.left_out import COLUMNS as LEFT_OUT_COLUMNS
from learner_ray.cohort.left_out import kind_of, left_out_path
from learner_ray.cohort.sidecar import sidecar_path
from learner_ray.cohort.sources.importer import FoundScan, LeftOut
from learner_ray.cohort.sources.join import Joined, left
from learner_ray.core.errors import UserError
from learner_ray.core.files import write_atomic

COLUMNS = (
    "path", "files", "patient", "visit", "day", "score", "view", "site", "device", "age", "sex",
    "education_years", "rating", "spo2", "crop", "mask", "flag", "scan_date", "score_date", "score_days",
    "score_rule", "score_row",
)  # fmt: skip
"""The columns of an imported manifest, those without any cell left out."""

Row = Mapping[str, str]
"""The cells of one row of the manifest, by column."""


def rows_of(joined: Sequence[Joined], out: Path, notes: list[str]) -> tuple[list[Row], list[LeftOut]]:
    """The rows of a manifest, and the scans that cannot be put in order in time.

    Args:
        joined: scans with their scores.
        out: the manifest; paths are relative to its folder where they lie below it.
        notes: what gives the order of visits is added.
    """
    placed = [each for each in joined if each.scan.when or parse_label(each.scan.visit)]
    left_out = [
        left(each.scan, "no time is known, and its visit's label cannot be sorted")
        for each in joined
        if not each.scan.when and not parse_label(each.scan.visit)
    ]
    timed = [each for each in placed if each.scan.when]
    if timed and len(timed) < len(placed) and all(parse_label(each.scan.visit) for each in placed):
        notes.append(f"order by label of the visit: {len(placed) - len(timed)} scans have no date")
        days: dict[int, str] = {}
    elif timed:
        left_out += [left(each.scan, "no time is known") for each in placed if not each.scan.when]
        placed = timed
        days = _days([each.scan for each in placed])
    else:
        days = {}
    named = all(each.scan.visit for each in placed)
    home = out.absolute().parent
    rows = [_row(each, home, days.get(id(each.scan), ""), named=named) for each in placed]
    return rows, left_out


def _row(each: Joined, home: Path, day: str, *, named: bool) -> Row:
    scan, score = each.scan, each.score
    cells = {
        "path": _from(home, scan.path),
        "files": ";".join(_from(home, file) for file in scan.files),
        "mask": _from(home, scan.mask) if scan.mask else "",
        "patient": scan.patient,
        "visit": scan.visit if named else "",
        "day": day,
        "score": f"{score.score:.10g}",
        "scan_date": scan.when.text if scan.when and scan.when.dated else "",
        "score_date": score.when.text if score.when and score.when.dated else "",
        "score_days": "" if math.isnan(each.distance) else f"{each.distance:.4g}",
        "score_rule": each.rule,
        "score_row": f"{score.table.name}:{score.row}",
    }
    return {**scan.more, **score.more, **cells}


def _from(home: Path, path: Path) -> str:
    whole = path.absolute()
    return os.path.relpath(whole, home) if whole.is_relative_to(home) else str(whole)


def _days(scans: Sequence[FoundScan]) -> dict[int, str]:
    """Days since the patient's first scan, by the identity of each scan. A visit has the time of its first
    scan; whole days are counted, unless a day has two visits of the patient."""
    first: dict[tuple[str, str], Moment] = {}
    for scan in scans:
        if scan.when is not None:
            key = (scan.patient, scan.visit or scan.when.text)
            first[key] = min(first.get(key, scan.when), scan.when)
    visits: dict[str, set[Moment]] = defaultdict(set)
    for (patient, _), when in first.items():
        visits[patient].add(when)
    found = {}
    for scan in scans:
        if scan.when is not None:
            when, of = first[scan.patient, scan.visit or scan.when.text], visits[scan.patient]
            whole = all(each.dated for each in of) and len({each.days // 1 for each in of}) == len(of)
            start = min(of).days
            since = when.days // 1 - start // 1 if whole else round(when.days - start, 5)
            found[id(scan)] = f"{since:.10g}"
    return found


def write_import(
    out: Path, rows: Sequence[Row], sidecar: Mapping[str, Any], left_out: Sequence[LeftOut]
) -> list[Path]:
    """Writes manifest, sidecar and, where there is any, the list of what was left out.

    Returns:
        The files written.
    """
    used = [column for column in COLUMNS if any(row.get(column) for row in rows)]
    files = {out: _csv(used, ([row.get(column, "") for column in used] for row in rows))}
    files[sidecar_path(out)] = json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n"
    if left_out:
        cells = ([each.path, each.patient, each.visit, each.reason] for each in left_out)
        files[left_out_path(out)] = _csv(LEFT_OUT_COLUMNS, cells)
    for path, text in files.items():
        write_atomic(path, text)
    return [*files]


def refuse_existing(out: Path) -> None:
    """Refuses a manifest that exists, or has another suffix.

    Raises:
        UserError: it does, or has.
    """
    if out.suffix.lower() != ".csv":
        raise UserError(f"--out {out}: name a file ending in .csv")
    for path in (out, sidecar_path(out), left_out_path(out)):
        if path.exists():
            raise UserError(f"{path} exists: name another file in --out, so that nothing edited is lost")


def reasons(left_out: Sequence[LeftOut]) -> list[str]:
    """How many were left out for each kind of reason; a reason that is the same for all of a kind is given
    in full."""
    kinds = Counter(kind_of(each.reason) for each in left_out)
    full: dict[str, set[str]] = defaultdict(set)
    for each in left_out:
        full[kind_of(each.reason)].add(each.reason)
    said = {kind: min(of) if len(of) == 1 else kind for kind, of in full.items()}
    return [f"  {count:>5}  {said[kind]}" for kind, count in kinds.most_common()]


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
