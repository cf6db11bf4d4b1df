"""What a study froze at its first start, and what was changed afterwards, as study.json records both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GROWING = {"seeds", "repeats", "trials"}
"""What makes other results of the arms that a study had."""
ALTERED = "altered"
"""Key that the reader adds to study.json's values where the file was changed by hand since it was written."""


def content_hash(info: Mapping[str, Any]) -> str:
    """SHA-256 over all that a study.json says, but for this hash, as the sweep writes it under ``hash``."""
    plain = {key: value for key, value in info.items() if key != "hash"}
    finite = json.loads(json.dumps(plain), parse_constant=lambda name: None)
    text = json.dumps(finite, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def is_altered(info: Mapping[str, Any]) -> bool:
    """Whether a study.json no longer is what was written. Older versions wrote no hash, and froze nothing."""
    now = content_hash(info)
    return bool(info.get("hash", "" if "frozen" in info else now) != now)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One value of a study that is another than before."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Amendment:
    """What one command changed of a study that had begun."""

    date: str
    final_runs: int
    """Final runs that the study had when it was changed."""
    complete: bool
    """Whether these were all that it wanted until then, so that its table with verdicts had been printed."""
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The frozen part of a study, and its amendments."""

    frozen: Mapping[str, Any]
    """The section of study.json; empty where an older version began the study."""
    amendments: tuple[Amendment, ...]
    altered: bool
    """Whether study.json was changed by hand since it was written."""
    extended_before: int
    """How often an older version extended the study; it recorded neither when nor what the results were."""

    @property
    def looks(self) -> int:
        """How many looks were declared; each tests at its share of alpha."""
        return int(self.frozen.get("looks") or 1)

    @property
    def known_runs(self) -> frozenset[str]:
        """Hashes of the final runs that lay in the results root before the protocol was frozen."""
        return frozenset(map(str, self.frozen.get("known_runs") or ()))

    def declared(self, what: str) -> Any:
        """A value as it was declared: the frozen one, or what replaced it before there was any final run. Of
        what a study did not freeze, for older versions froze less, what its first change replaced."""
        changes = [(a.final_runs, c) for a in self.amendments for c in a.changes if c.what == what]
        value = self.frozen.get(what)
        if self.frozen and what not in self.frozen and changes:
            value = changes[0][1].before
        for final_runs, change in changes:
            if not final_runs:
                value = change.after
        return value

    def changed(self, what: str, now: Any) -> int:
        """Final runs that there were when a value became another than declared; 0 while it is as declared."""
        runs = self.runs_at_change(what)
        return runs if self.frozen and runs and now != self.declared(what) else 0

    @property
    def family(self) -> tuple[str, ...]:
        """Names of the arms that were declared as tested; empty where nothing was frozen."""
        return tuple(map(str, self.declared("family") or ()))

    @property
    def tables_before(self) -> int:
        """How many tables with verdicts were printed of results that grew later: looks, recorded or not."""
        grown = [{change.what for change in a.changes} & GROWING for a in self.amendments if a.complete]
        return sum(map(bool, grown))

    def runs_at_change(self, what: str) -> int:
        """Final runs that there were when a value was last changed; 0 if it never was."""
        found = [a.final_runs for a in self.amendments if what in {change.what for change in a.changes}]
        return found[-1] if found else 0


def protocol_of(info: Mapping[str, Any]) -> Protocol:
    """Read the protocol out of study.json's values."""
    return Protocol(
        frozen=dict(info.get("frozen") or {}),
        amendments=tuple(map(_amendment, info.get("amendments") or ())),
        altered=bool(info.get(ALTERED)),
        extended_before=len(info.get("extended") or ()),
    )


def _amendment(values: Mapping[str, Any]) -> Amendment:
    changes = [
        Change(what=str(change["what"]), before=change.get("from"), after=change.get("to"))
        for change in values["changes"]
    ]
    return Amendment(
        date=str(values["date"]),
        final_runs=int(values["final_runs"]),
        complete=bool(values.get("complete")),
        changes=tuple(changes),
    )


def wrong_amendment(info: Mapping[str, Any]) -> str:
    """The first amendment that cannot be, in words; empty where all can."""
    for number, values in enumerate(info.get("amendments") or ()):
        try:
            _amendment(values)
        except (TypeError, KeyError, ValueError, AttributeError):
            return f"amendments[{number}] is {str(values)[:40]!r}"
    return ""
