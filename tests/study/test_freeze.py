"""The first start freezes what is asked of a study, and what is changed afterwards is an amendment."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from learner_ray.core.errors import UserError
from learner_ray.study.freeze import ASKED, amendment_notice, final_runs_of_study, looks_of
from learner_ray.study.plan import Plan
from learner_ray.study.record import record
from learner_ray.study.study import Study
from learner_ray.study.study_file import load_study
from learner_ray.study.study_json import study_hash
from tests.study.test_record import plan


def asking(plan: Plan, **values: object) -> Plan:
    """The same plan after its study file was edited."""
    return replace(plan, study=replace(plan.study, **values))  # type: ignore[arg-type]


def kept(folder: Path) -> dict[str, Any]:
    study: dict[str, Any] = json.loads((folder / "study.json").read_text())
    assert study["hash"] == study_hash(study)
    return study


def have_final_runs(folder: Path, number: int) -> None:
    runs = pd.DataFrame({"arm": "mse", "repeat": 0, "fold": 0, "seed": range(number)})
    runs.to_parquet(folder / "finals.parquet")


def test_the_first_start_freezes_what_is_asked(manifest: Path, tmp_path: Path) -> None:
    arms = ("mse", "contrastive", "weighted", "majority")
    record(plan(manifest, arms=arms, seeds=3), tmp_path / "lus", [], command="the command", looks=2)
    frozen = kept(tmp_path / "lus")["frozen"]
    asked = {"primary_metric": "macro_f1", "reference": "mse", "family": ["contrastive", "weighted"]}
    rule = {"threshold": 25, "alpha": 0.05, "looks": 2, "known_runs": [], "command": "the command"}
    assert frozen.items() >= {**asked, **rule}.items()
    assert frozen["planned"].items() >= {"arms": 4, "folds": 2, "seeds": 3, "final_runs": 24}.items()
    assert frozen["date"] and frozen["analysis"] >= 1 and "commit" in frozen


def test_the_frozen_part_and_the_date_of_the_beginning_never_change(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lus"
    record(plan(manifest), folder, [], command="first")
    first = kept(folder)
    assert record(plan(manifest), folder, []) == first and kept(folder) == first, "the same is no amendment"
    have_final_runs(folder, 4)
    other = asking(plan(manifest), primary_metric="accuracy", reference="weighted")
    record(other, folder, [], command="second")
    have_final_runs(folder, 5)
    more = asking(plan(manifest, arms=("mse", "weighted", "contrastive"), seeds=2), primary_metric="accuracy")
    record(more, folder, [], command="third", extend=True)
    now = kept(folder)
    assert now["frozen"] == first["frozen"] and now["created"] == first["created"]
    assert (now["primary_metric"], now["reference"], now["command"]) == ("accuracy", "mse", "third")
    assert [a["final_runs"] for a in now["amendments"]] == [4, 5]
    assert [a["complete"] for a in now["amendments"]] == [True, True]
    assert [a["command"] for a in now["amendments"]] == ["second", "third"]
    said = [{c["what"]: (c["from"], c["to"]) for c in a["changes"]} for a in now["amendments"]]
    assert said[0]["primary_metric"] == ("macro_f1", "accuracy") and said[0]["reference"] == (
        "mse",
        "weighted",
    )
    assert said[1].keys() == {"reference", "seeds", "arms", "family"} and said[1]["seeds"] == (1, 2)
    assert said[1]["arms"] == (["mse", "weighted"], ["contrastive", "mse", "weighted"])


def test_an_amendment_says_whether_the_study_was_complete(manifest: Path, tmp_path: Path) -> None:
    record(plan(manifest), tmp_path / "lus", [])
    have_final_runs(tmp_path / "lus", 3)
    record(plan(manifest, seeds=2), tmp_path / "lus", [], extend=True)
    assert [a["complete"] for a in kept(tmp_path / "lus")["amendments"]] == [False], "2 arms on 2 folds are 4"


def test_who_amends_is_told_before_anything_runs(manifest: Path, tmp_path: Path) -> None:
    first = record(plan(manifest), tmp_path / "lus", [])
    assert amendment_notice(None, first) == amendment_notice(first, first) == ""
    more = record(plan(manifest, seeds=2), tmp_path / "lus", [], extend=True)
    assert amendment_notice(first, more).startswith("Amended when there were 0 final runs: seeds.")


def test_another_rule_of_the_report_is_an_amendment(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(plan(manifest), tmp_path / "lus", [])
    monkeypatch.setattr("analysis.statistics.rule.ANALYSIS", 99)
    record(plan(manifest), tmp_path / "lus", [])
    (amendment,) = kept(tmp_path / "lus")["amendments"]
    assert [change["what"] for change in amendment["changes"]] == ["analysis"]


def test_looks_are_declared_at_the_first_start_alone(manifest: Path, tmp_path: Path) -> None:
    record(plan(manifest), tmp_path / "lus", [], looks=2)
    for looks in (None, 2):
        record(plan(manifest), tmp_path / "lus", [], looks=looks)
    with pytest.raises(UserError, match="--looks 3: this study declared 2"):
        record(plan(manifest), tmp_path / "lus", [], looks=3)


def test_runs_that_lie_in_the_root_before_are_known(manifest: Path, tmp_path: Path) -> None:
    for run in ("aa", "bb"):
        (tmp_path / "runs" / run).mkdir(parents=True)
    (tmp_path / "runs" / "bb" / "predictions.parquet").touch()
    record(plan(manifest), tmp_path / "lus", [])
    assert kept(tmp_path / "lus")["frozen"]["known_runs"] == ["bb"]


def test_looks_stay_where_study_json_is_gone(manifest: Path, tmp_path: Path) -> None:
    record(plan(manifest), tmp_path / "lus", [])
    (tmp_path / "lus" / "looks").mkdir()
    (tmp_path / "lus" / "looks" / "one.json").touch()
    (tmp_path / "lus" / "study.json").unlink()
    record(plan(manifest), tmp_path / "lus", [])
    assert (tmp_path / "lus" / "looks" / "one.json").exists()


def test_a_study_that_an_older_version_began_has_amendments_and_nothing_frozen(
    manifest: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "lus"
    written = record(plan(manifest), folder, [])
    older = {key: written[key] for key in written.keys() - {"frozen", "amendments", "analysis", "hash"}}
    (folder / "study.json").write_text(json.dumps(older))
    record(plan(manifest), folder, [])
    assert json.loads((folder / "study.json").read_text()) == older, "the same command changes nothing"
    with pytest.raises(UserError, match="an older version began it"):
        record(plan(manifest), folder, [], looks=2)
    record(plan(manifest, seeds=2), folder, [], extend=True)
    assert "frozen" not in kept(folder) and len(kept(folder)["amendments"]) == 1


def test_final_runs_are_counted_in_the_tables_or_in_the_root(tmp_path: Path) -> None:
    folder = tmp_path / "lus"
    (tmp_path / "runs" / "aa").mkdir(parents=True)
    (tmp_path / "runs" / "aa" / "predictions.parquet").touch()
    folder.mkdir()
    assert final_runs_of_study(folder) == 0
    have_final_runs(folder, 3)
    assert final_runs_of_study(folder) == 3
    (folder / "finals.parquet").write_bytes(b"damaged")
    assert final_runs_of_study(folder) == 1


def test_a_plan_is_of_the_looks_that_the_study_declared(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lus"
    assert (looks_of(folder, None), looks_of(folder, 3)) == (1, 3), "nothing is declared yet"
    record(plan(manifest), folder, [], looks=2)
    assert looks_of(folder, None) == 2


OWN_METRIC = """
from dataclasses import replace
from analysis.statistics.metrics import ReportMetric
from search_spaces.lus import STUDY as LUS

PENALTY = {penalty}

class Hits(ReportMetric):
    name, label = "frozen_hits", "Hits"

    def compute(self, counts):
        return counts[..., 0, 0] - PENALTY * counts[..., 0, 2]

STUDY = replace(LUS, primary_metric="frozen_hits")
"""


@pytest.mark.parametrize("extend", [False, True])
@pytest.mark.parametrize(("what", "value"), [("equivalence_margin", 0.1), ("retest_days", 3.0)])
def test_what_a_study_file_sets_for_the_report_alone_is_frozen_and_amended(
    manifest: Path, tmp_path: Path, what: str, value: float, extend: bool
) -> None:
    """Seen: ignored without --extend, and with it put in the place of what was declared."""
    folder = tmp_path / "lus"
    record(plan(manifest), folder, [])
    before = kept(folder)["frozen"][what]
    record(asking(plan(manifest, seeds=1 + extend), **{what: value}), folder, [], extend=extend)
    study = kept(folder)
    changes = [c for a in study["amendments"] for c in a["changes"] if c["what"] == what]
    assert changes == [{"what": what, "from": before, "to": value}]
    assert study[what] == value and study["frozen"][what] == before


def test_a_margin_stated_in_a_study_that_recorded_none_is_an_amendment(
    manifest: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "lus"
    written = record(plan(manifest), folder, [])
    older = {key: written[key] for key in written.keys() - {"equivalence_margin", "retest_days", "hash"}}
    (folder / "study.json").write_text(json.dumps({**older, "hash": study_hash(older)}))
    record(asking(plan(manifest), equivalence_margin=0.1), folder, [])
    (change,) = kept(folder)["amendments"][0]["changes"]
    assert change == {"what": "equivalence_margin", "from": None, "to": 0.1}


def test_a_metric_of_the_study_s_own_that_is_defined_anew_is_an_amendment(
    manifest: Path, tmp_path: Path
) -> None:
    file, folder = tmp_path / "own.py", tmp_path / "lus"
    for penalty in (1, 2):
        file.write_text(OWN_METRIC.format(penalty=penalty))
        load_study(str(file))
        record(asking(plan(manifest), primary_metric="frozen_hits"), folder, [])
    (amendment,) = kept(folder)["amendments"]
    assert [change["what"] for change in amendment["changes"]] == ["primary_metric_definition"]


def test_every_setting_of_a_study_is_part_of_its_identity_or_frozen() -> None:
    """A new field of Study belongs to one of these, else a change of it leaves no trace."""
    by_identity = {"name", "base", "arms", "default_arms", "space", "profiles", "pruner"}
    of_the_data_or_unused = {"modality", "objectives", "file"}
    fields = {field.name for field in dataclasses.fields(Study)}
    assert fields == by_identity | of_the_data_or_unused | set(ASKED) - {"primary_metric_definition"}
