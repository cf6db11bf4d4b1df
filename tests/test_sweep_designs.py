"""Studies that are made from others, from the command to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from analysis.building import build
from analysis.page.page import Report
from analysis.results.load import load
from learner_ray.study.study import WITH_EARLIER_SCORE
from tests.small_sweep import ledger, sweep

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("formula_runs")]


def report(*folders: Path) -> Report:
    return build(load(folders).studies, draws=100)


def configs(out: Path, arm: str) -> dict[int, dict[str, object]]:
    """The configuration of an arm's final run, by fold."""
    runs = ledger(out).query("arm == @arm")[["fold", "run_hash"]].drop_duplicates()
    return {
        int(fold): json.loads((out.parent / "runs" / run / "config.json").read_text())["config"]
        for fold, run in runs.itertuples(index=False)
    }


@pytest.mark.long
def test_a_search_is_audited_and_its_winners_setting_given_to_every_arm(
    manifest: Path, tmp_path: Path
) -> None:
    tuned, fixed = tmp_path / "lus", tmp_path / "lus-fixed"
    assert sweep(manifest, tuned, "--audits", "1") == 0
    audits = pd.read_parquet(tuned / "audits.parquet")
    assert len(audits) == 2 * 2 and audits["selection_score"].notna().all()
    made = ["weighted", "mse", "majority", "weighted-no-weighted", "weighted-shift_fraction-0"]
    at_winner = ["--fixed-from", str(tuned), "--fixed-arm", "weighted", "--arms", ",".join(made)]
    assert sweep(manifest, fixed, *at_winner) == 0
    arms = ledger(fixed)["arm"].str.removesuffix(WITH_EARLIER_SCORE)
    assert sorted(arms.unique()) == sorted(made)
    assert ledger(fixed)["protocol"].unique() == ["nested, all arms at the setting chosen for weighted"]
    chosen = configs(tuned, "weighted")
    for arm in ("weighted", "mse", "weighted-no-weighted"):
        for fold, config in configs(fixed, arm).items():
            assert config["train"] == chosen[fold]["train"] and config["encoder"] == chosen[fold]["encoder"]
    names = {table.name: table for table in report(tuned, fixed).tables}
    assert set(names["tuned-fixed"].data["arm"]) == {"mse", "weighted"}
    assert names["overtuning"].data["luck"].notna().all()


@pytest.mark.long
def test_a_factorial_of_one_arm_has_its_effects_in_the_report(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factors = ["--factor", "loss.margin=0.1,0.4", "--factor", "encoder.shift_fraction=0,0.5"]
    asked = ["--arms", "contrastive", "--trials", "0", *factors]
    assert sweep(manifest, tmp_path / "lus", *asked) == 0
    assert ledger(tmp_path / "lus")["arm"].str.removesuffix(WITH_EARLIER_SCORE).nunique() == 4
    table = next(t for t in report(tmp_path / "lus").tables if t.name == "factorial")
    effects = ["encoder.shift_fraction", "loss.margin", "encoder.shift_fraction x loss.margin"]
    assert list(table.data["effect"]) == effects
    assert sweep(manifest, tmp_path / "lus", "--arms", "mse,weighted", *factors) == 2
    assert "name it, as in --arms contrastive" in capsys.readouterr().err


@pytest.mark.long
def test_a_development_study_says_that_it_is_not_nested(manifest: Path, tmp_path: Path) -> None:
    assert sweep(manifest, tmp_path / "lus", "--protocol", "development") == 0
    assert ledger(tmp_path / "lus")["protocol"].unique() == ["development-split"]
    assert set(pd.read_parquet(tmp_path / "lus" / "trials.parquet")["fold"]) == {0}
    lr = [config["train"]["lr"] for config in configs(tmp_path / "lus", "mse").values()]  # type: ignore[index]
    assert lr[0] == lr[1]
    (statistics,) = report(tmp_path / "lus").statistics
    assert "not nested" in statistics.study.cautions
