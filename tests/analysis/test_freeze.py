"""What was declared before the results were known decides what may be said of them, in every output."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frozen_results import BEGUN, amend, change_study, frozen_results
from make_results import change_ledger, lose_runs, make_results

from analysis.building import all_tables
from analysis.figures.final_runs import forest
from analysis.page.page import Report, html
from analysis.results.load import load
from analysis.results.protocol import content_hash
from analysis.statistics.cap import CONFIGURATION_ONLY
from analysis.statistics.standing import standing_of
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.equivalence import equivalence_table
from analysis.tables.protocol import protocol_lines
from analysis.tables.render import latex, markdown, plain
from learner_ray.study.main_table import main_table_text
from learner_ray.study.study_json import study_hash

DRAWS = 200


def statistics(folder):
    return study_statistics(load([folder]).studies[0], DRAWS)


def verdict(folder, arm="weighted"):
    return statistics(folder).comparison.tests.set_index("arm")["verdict"][arm]


def outputs(folder):
    """Everything that shows verdicts, as text by its name, and the colour of supported ones."""
    items = [statistics(folder)]
    tables, drawing = all_tables(items), forest(items)
    page = html(Report(statistics=items, tables=tables, drawings=[drawing]))
    texts = {"page": page, "forest": drawing.svg, "forest.csv": drawing.data.to_csv()}
    for table in tables:
        if "verdict" in table.data:
            texts |= {
                f"{table.name}.txt": plain(table), f"{table.name}.md": markdown(table),
                f"{table.name}.tex": latex(table), f"{table.name}.csv": table.data.to_csv(),
            }  # fmt: skip
    return texts


def add_seed(folder):
    """One more seed of every final run, whose predictions are those of another."""

    def more(ledger):
        again = ledger[ledger["seed"] == 0].assign(seed=int(ledger["seed"].max()) + 1)
        return pd.concat([ledger, again], ignore_index=True)

    change_ledger(folder, more)
    change_study(folder, seeds=json.loads((folder / "study.json").read_text())["seeds"] + 1)


def never_supported(folder, said):
    for name, text in outputs(folder).items():
        assert said in text, name
        text = text.replace("Coloured: supported.", "")
        text = re.sub(r"<li>Look 1, .*?</li>", "", text)  # what was said when the first look was taken stays
        for claim in (": supported", ", supported", "| supported", "& supported", ",supported", ">supported"):
            assert claim not in text, (name, claim)


def test_a_declared_look_supports_and_reading_it_again_is_no_new_one(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    assert verdict(folder) == verdict(folder) == "supported"
    (look,) = (folder / "looks").iterdir()
    kept = json.loads(look.read_text())
    assert set(kept["arms"]) == {"contrastive", "weighted"} and kept["verdicts"]["weighted"] == "supported"
    shuffled = lambda ledger: ledger.sample(frac=1, random_state=1).assign(more=1.0)  # noqa: E731
    change_ledger(folder, shuffled)
    assert verdict(folder) == "supported" and len(list((folder / "looks").iterdir())) == 1


@pytest.mark.long
def test_the_table_at_the_end_of_a_sweep_is_the_same_look(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    assert "supported" in main_table_text(folder)
    assert verdict(folder) == "supported" and len(list((folder / "looks").iterdir())) == 1
    add_seed(folder)
    assert "exploratory (look 2 of 1)" in main_table_text(folder)


def test_a_look_that_was_not_declared_is_exploratory_in_every_output(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    assert verdict(folder) == "supported"
    add_seed(folder)
    never_supported(folder, "exploratory (look 2 of 1)")
    lines = "\n".join(protocol_lines(statistics(folder)))
    assert "Look 1, " in lines and "Look 2, " in lines and "Looks declared: 1" in lines


def test_looks_share_alpha(tmp_path):
    """What is supported at 0.05 is not at 0.05 / K, as long as its p lies between."""
    p = statistics(frozen_results(tmp_path / "one")).comparison.tests.set_index("arm")["p_holm"]["weighted"]
    looks = int(np.floor(0.05 / p))
    assert 1 <= looks < 10_000
    assert verdict(frozen_results(tmp_path / "A" / "lus", looks=looks)) == "supported"
    assert verdict(frozen_results(tmp_path / "B" / "lus", looks=looks + 1)) == "not supported"


@pytest.mark.long
@pytest.mark.parametrize(("what", "value"), [("primary_metric", "accuracy"), ("reference", "contrastive")])
def test_what_is_asked_after_the_answer_is_exploratory_and_printed_with_what_was_declared(
    tmp_path, what, value
):
    folder = frozen_results(tmp_path / "lus")
    assert verdict(folder) == "supported"
    amend(folder, 60, **{what: value})
    texts = outputs(folder)
    assert "exploratory (changed after 60 final runs)" in texts["headline.txt"]
    assert f"from {'macro_f1' if what == 'primary_metric' else 'mse'} to {value}" in texts["headline.txt"]
    before = statistics(folder).as_frozen.tests.set_index("arm")
    assert before["verdict"]["weighted"] == "supported" and "As the protocol was frozen" in texts["page"]


@pytest.mark.parametrize(("final_runs", "equivalent"), [(0, True), (60, False)])
def test_within_a_margin_that_was_changed_later_nothing_is_equivalent(tmp_path, final_runs, equivalent):
    folder = frozen_results(tmp_path / "lus", equivalence_margin=None)
    change_study(folder, equivalence_margin=None)
    amend(folder, final_runs, equivalence_margin=0.9)
    item = statistics(folder)
    assert item.measurement.equivalence["equivalent"].eq(equivalent).all()
    assert "margin of equivalence from not declared to 0.9" in "\n".join(protocol_lines(item))
    note = equivalence_table([item]).notes[-1]
    assert ("changed after 60 final runs" in note) is not equivalent
    amend(folder, 60, equivalence_margin=None)
    note = equivalence_table([statistics(folder)]).notes[-1]
    assert ("changed" in note) is equivalent, "what is declared is another in the two cases"


def test_a_primary_metric_that_is_defined_anew_later_makes_verdicts_exploratory(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    change_study(folder, primary_metric_definition="a" * 64)
    amend(folder, 60, primary_metric_definition="b" * 64)
    assert verdict(folder) == "exploratory (primary metric defined anew after 60 final runs)"
    study = load([frozen_results(tmp_path / "B" / "lus", primary_metric_definition="a" * 64)]).studies[0]
    study.info["primary_metric_definition"] = "a" * 64
    assert not standing_of(study, "a" * 64).exploratory
    assert set(standing_of(study, "b" * 64).exploratory) == {"contrastive", "weighted"}


def test_what_is_asked_before_the_first_final_run_is_declared(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    amend(folder, 0, primary_metric="accuracy")
    item = statistics(folder)
    assert item.comparison.tests.set_index("arm")["verdict"]["weighted"] == "supported"
    assert item.as_frozen is None


def test_the_family_never_shrinks_and_an_arm_that_came_later_is_exploratory(tmp_path):
    """Seen: the same runs under fewer arms halve Holm's p."""
    folder = frozen_results(tmp_path / "lus")
    both = statistics(folder).comparison.tests.set_index("arm")
    change_ledger(folder, lambda ledger: ledger[ledger["arm"] != "contrastive"])
    arms = json.loads((folder / "study.json").read_text())["arms"]
    change_study(folder, arms=[arm for arm in arms if arm["name"] != "contrastive"])
    fewer = statistics(folder).comparison.tests.set_index("arm")
    assert fewer["p_holm"]["weighted"] == both["p_holm"]["weighted"] and (fewer["family"] == 2).all()

    folder = frozen_results(tmp_path / "late" / "lus", family=["contrastive"])
    amend(folder, 30, family=["contrastive", "weighted"])
    assert verdict(folder) == "exploratory (added after 30 final runs)"
    assert verdict(folder, "contrastive") == "not supported"


@pytest.mark.long
def test_a_look_at_one_arm_is_not_spent_by_another_that_is_added(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    assert verdict(folder) == "supported"
    more = lambda ledger: pd.concat(  # noqa: E731
        [ledger, ledger[ledger["arm"] == "mse"].assign(arm="late", run_hash="late")], ignore_index=True
    )
    change_ledger(folder, more)
    arms = json.loads((folder / "study.json").read_text())["arms"]
    change_study(folder, arms=[*arms, {**arms[1], "name": "late", "label": "Late"}])
    assert verdict(folder) == "supported" and verdict(folder, "late").startswith("exploratory (added")


def test_runs_that_were_known_before_the_freeze_support_nothing(tmp_path):
    known = ["weighted-r0f0s0", "mse-r0f1s2", "of-another-study"]
    folder = frozen_results(tmp_path / "lus", known_runs=known)
    assert verdict(folder) == "exploratory (2 final runs known before the freeze)"


@pytest.mark.long
def test_of_studies_that_share_runs_only_the_first_supports(tmp_path):
    first = frozen_results(tmp_path / "lus")
    later = frozen_results(tmp_path / "fewer", date="2026-01-02T00:00:00.000+00:00", family=["weighted"])
    assert verdict(first) == "supported"
    assert verdict(later) == "exploratory (45 final runs shared with lus, begun before)"
    assert "fewer (frozen 2026-01-02 00:00 UTC) shares 45 final runs" in "".join(
        protocol_lines(statistics(first))
    )


@pytest.mark.long
def test_looks_at_a_copy_of_the_folder_count(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert verdict(copy) == "supported"
    add_seed(folder)
    assert verdict(folder) == "exploratory (look 2 of 1)"


def test_a_study_json_that_was_changed_by_hand_supports_nothing(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    change_study(folder, by_hand=True, primary_metric="accuracy", frozen={"date": BEGUN, "looks": 9})
    assert verdict(folder) == "exploratory (study.json was changed by hand)"


def test_both_packages_hash_a_study_alike(tmp_path):
    info = json.loads((frozen_results(tmp_path / "lus") / "study.json").read_text())
    assert content_hash(info) == study_hash(info) == info["hash"]


@pytest.mark.long
def test_a_study_of_an_older_version_is_readable_and_says_that_nothing_was_frozen(tmp_path):
    folder = make_results(tmp_path / "lus")
    texts = outputs(folder)
    assert verdict(folder) == "supported" and not (folder / "looks").exists()
    for name in ("page", "headline.txt", "headline.md", "headline.tex"):
        assert "protocol not frozen (study begun by an older version)" in texts[name]
    amendment = {"date": BEGUN, "final_runs": 60, "changes": [{"what": "seeds", "from": 2, "to": 3}]}
    change_study(folder, amendments=[amendment])
    assert verdict(folder) == "exploratory (changed after 60 final runs)"


@pytest.mark.long
def test_a_look_that_cannot_be_recorded_is_said_and_counts(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    (folder / "looks").write_text("a file where a folder must be")
    assert "this look could not be recorded" in outputs(folder)["headline.txt"]
    assert verdict(folder) == "supported"


def test_nothing_is_a_look_without_a_verdict(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    lose_runs(folder, arm="weighted", fold=0)
    assert statistics(folder).comparison.tests.empty and not (folder / "looks").exists()


def test_a_table_that_was_printed_counts_though_its_look_is_gone(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    amend(folder, 40, complete=True, seeds=3)
    assert verdict(folder) == "exploratory (look 2 of 1)"
    unfinished = frozen_results(tmp_path / "unfinished" / "lus")
    amend(unfinished, 39, seeds=3)
    assert verdict(unfinished) == "supported"


@pytest.mark.parametrize("damage", ["{", "[]", '{"date": 1}'])
def test_a_file_that_is_no_look_is_passed_over(tmp_path, damage):
    folder = frozen_results(tmp_path / "lus")
    (folder / "looks").mkdir()
    (folder / "looks" / "x.json").write_text(damage)
    assert verdict(folder) == "supported"


SINGLE = {
    "one fold searched": {"protocol": "development-split", "development": True},
    "fixed at a winner": {"fixed_at": {"arm": "mse", "settings": []}, "trials": 0},
    "no search": {"trials": 0},
    "one trial": {"trials": 1},
}


@pytest.mark.parametrize("change", SINGLE.values(), ids=SINGLE)
def test_one_search_or_none_supports_nothing_of_a_loss(tmp_path, change):
    folder = frozen_results(tmp_path / "lus")
    change_study(folder, **change)
    words = statistics(folder).comparison.tests.set_index("arm")["verdict"]
    assert words.to_dict() == {"weighted": CONFIGURATION_ONLY, "contrastive": "not supported"}


def test_one_configuration_is_said_in_every_output(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    change_study(folder, trials=0)
    never_supported(folder, CONFIGURATION_ONLY)


def test_so_it_is_where_one_of_two_arms_was_not_searched(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    arms = json.loads((folder / "study.json").read_text())["arms"]
    change_study(
        folder, arms=[{**arm, "searched": [] if arm["name"] == "mse" else ["train.lr"]} for arm in arms]
    )
    assert verdict(folder) == CONFIGURATION_ONLY


def test_a_damaged_record_of_amendments_is_named(tmp_path):
    from analysis.results.errors import ReportError

    folder = frozen_results(tmp_path / "lus")
    change_study(folder, amendments=[{"date": BEGUN}])
    with pytest.raises(ReportError, match=r"amendments\[0\]"):
        load([folder])


def test_the_folder_is_not_written_to_but_for_looks(tmp_path):
    folder = frozen_results(tmp_path / "lus")
    before = {path: path.read_bytes() for path in Path(folder).iterdir()}
    outputs(folder)
    assert {path: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()} == before
