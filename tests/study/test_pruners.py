"""What holds for every pruner: the package's, Optuna's, and a user's own of either kind."""

from __future__ import annotations

import functools
import json
import math
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner_ray.core.components import PRUNERS
from learner_ray.core.errors import UserError
from learner_ray.run.progress import selection_score
from learner_ray.run.spec import RunSpec
from learner_ray.study.cost_estimate import expected_epochs
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.halving import Halving, OneEpoch
from learner_ray.study.optuna_pruners import OptunaSearchPruner, names
from learner_ray.study.pruner_choice import check_pruner, pruner_text, search_pruner
from learner_ray.study.pruners import Pruner, TrialProgress
from tests.study.old_pruners import OldHalving, OldOneEpoch
from tests.study.small_study import curve, run, runner, story

optuna.logging.set_verbosity(optuna.logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore:All-NaN slice")  # Optuna's, of trials without a number


class Behind(Pruner):
    """A user's own: stops a trial that is too far behind the best earlier one at the same epoch."""

    def __init__(self, margin: float = 0.005) -> None:
        self.margin = margin

    def should_prune(self, trial: TrialProgress, earlier: Any, epochs: int) -> bool:
        best = max((other.score_at(trial.epoch) for other in earlier), default=-math.inf)
        return trial.score < best - self.margin


class Counting(optuna.pruners.BasePruner):
    """A user's own of Optuna's kind, which remembers what it was asked: stops every third trial it saw."""

    def __init__(self, every: int = 3) -> None:
        self.every = every
        self.seen: list[int] = []

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        self.seen.append(trial.number)
        best = max([t.value for t in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))], default=0)
        value = trial.intermediate_values[trial.last_step or 0]
        return len(set(self.seen)) % self.every == 0 and not value >= best + 1


def patient(wrapped: optuna.pruners.BasePruner) -> optuna.pruners.BasePruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.PatientPruner(wrapped, patience=1)


def wilcoxon() -> optuna.pruners.BasePruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.WilcoxonPruner()


CHOICES = {
    **{name: name for name in PRUNERS.built_in},
    **{f"optuna.{name}": f"optuna.{name}" for name in names() if name not in ("patient", "threshold")},
    "patient": patient(optuna.pruners.MedianPruner(n_startup_trials=1)),
    "threshold": optuna.pruners.ThresholdPruner(lower=-0.6, n_warmup_steps=2),
    "own": Behind(),
    "own of Optuna's kind": Counting(),
}
every_pruner = pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
scores = st.lists(st.floats(-5, 5) | st.just(math.nan), min_size=1, max_size=12)
histories = st.lists(scores, min_size=2, max_size=8)


def trainer(spec: RunSpec) -> Curve:
    return Curve(rows=curve(spec))


def progress(number: int, values: list[float]) -> TrialProgress:
    return TrialProgress(number=number, scores=dict(enumerate(values, 1)))


def ended(number: int, values: list[float], epochs: int) -> TrialProgress:
    finite = [value for value in values if math.isfinite(value)]
    state = "complete" if len(values) == epochs and finite else "stopped" if finite else "failed"
    score = max(finite, default=math.nan)
    return TrialProgress(number=number, scores=dict(enumerate(values, 1)), state=state, selection_score=score)


def decisions(choice: Any, curves: list[list[float]], *, replayed: int = 0) -> list[tuple[int, int]]:
    """Where a search of given curves stops its trials. So many are replayed from files, the others live."""
    pruner, epochs, found = search_pruner(choice, epochs=12, search="r0-f0"), 12, []
    earlier: list[TrialProgress] = []
    for number, values in enumerate(curves):
        reported = len(values)
        if number >= replayed or replayed == 0:
            for epoch in range(1, min(len(values) + 1, epochs)):
                if pruner.should_prune(progress(number, values[:epoch]), earlier):
                    reported = epoch
                    found.append((number, epoch))
                    break
        earlier.append(ended(number, values[:reported], epochs))
    return found


@every_pruner
def test_the_first_trial_and_all_final_runs_end_their_schedule(choice: Any) -> None:
    study = runner(MemoryStore(), pruner=choice)
    simulate(study, trainer, devices=2)
    assert study.is_done
    whole = [o for o in study.outcomes if o.planned.final or o.planned.number == 0]
    assert whole and all(o.state == "complete" for o in whole)


def check_resuming(**names: Any) -> None:
    """A study stopped twice on the way ends like one that was not."""
    undisturbed, store = runner(MemoryStore(), **names), MemoryStore()
    simulate(undisturbed, trainer, devices=3)
    for until in (5, 17, 1000):
        resumed = runner(store, **names)
        simulate(resumed, trainer, devices=3, until=until)
    assert story(resumed) == story(undisturbed)


@every_pruner
def test_an_interrupted_study_ends_like_an_undisturbed_one(choice: Any) -> None:
    check_resuming(pruner=choice, trials=9)


@every_pruner
@settings(max_examples=15)
@given(curves=histories, data=st.data())
def test_trials_read_from_files_count_like_live_ones(
    choice: Any, curves: list[list[float]], data: st.DataObject
) -> None:
    live = decisions(choice, curves)
    stopped = dict(live)
    written = [as_written(values[: stopped.get(n, len(values))]) for n, values in enumerate(curves)]
    first = data.draw(st.integers(1, len(curves) - 1))
    resumed = decisions(choice, [*written[:first], *curves[first:]], replayed=first)
    assert resumed == [each for each in live if each[0] >= first]


def as_written(values: list[float]) -> list[float]:
    """Scores as they come back from ``progress.jsonl``, where no number is null."""
    text = json.dumps([{"selection_score": value} for value in values]).replace("NaN", "null")
    return [selection_score(row) for row in json.loads(text)]


@every_pruner
@settings(max_examples=10)
@given(curves=histories)
def test_a_pruner_decides_by_the_history_alone(choice: Any, curves: list[list[float]]) -> None:
    assert decisions(choice, curves) == decisions(choice, curves)


@pytest.mark.parametrize("choice", [c for name, c in CHOICES.items() if name != "patient"])
@settings(max_examples=10)
@given(curves=histories)
def test_no_number_is_worse_than_any_other(choice: Any, curves: list[list[float]]) -> None:
    # But to Optuna's PatientPruner, which looks at numbers alone.
    for number, epoch in decisions(choice, curves):
        worse = [list(values) for values in curves]
        worse[number][epoch - 1] = math.nan
        assert (number, epoch) in decisions(choice, worse)


@every_pruner
def test_arms_are_treated_alike(choice: Any) -> None:
    """Two arms whose trials have equal scores are stopped at equal epochs."""
    study = runner(MemoryStore(), pruner=choice, trials=9)

    def equal(spec: RunSpec) -> Curve:
        number = next(n for s in study.groups.values() for n, p in _trials(s).items() if p == spec.hash)
        rise = math.sin(7 * number)
        rows = [{**row, "selection_score": rise - 1 / row["epoch"]} for row in curve(spec)]
        return Curve(rows=rows)

    simulate(study, lambda spec: Curve(rows=curve(spec)) if spec.is_final else equal(spec), devices=2)
    for fold in ("r0-f0", "r0-f1"):
        mse, contrastive = (study.groups[f"{arm}/{fold}"].trial_outcomes for arm in ("mse", "contrastive"))
        assert [(o.state, o.epochs) for o in mse] == [(o.state, o.epochs) for o in contrastive]


def _trials(search: Any) -> dict[int, str]:
    """By number, the runs of a search's trials, the running one included."""
    planned = [o.planned for o in search.trial_outcomes] + list(search._running.values())
    return {each.number: each.spec.hash for each in planned if each.role == "trial"}


def test_hyperband_gives_the_trials_of_all_arms_the_same_brackets() -> None:
    study = runner(MemoryStore(), pruner="optuna.hyperband", trials=9)
    simulate(study, trainer, devices=2)

    def brackets(name: str) -> list[int]:
        pruner = study.groups[name].pruner
        assert isinstance(pruner, OptunaSearchPruner)
        hyperband = pruner._base.pruner
        assert isinstance(hyperband, optuna.pruners.HyperbandPruner)
        return [hyperband._get_bracket_id(pruner._base, trial) for trial in pruner._base.trials]

    assert brackets("mse/r0-f0") == brackets("contrastive/r0-f0")
    assert len(set(brackets("mse/r0-f0"))) > 1
    assert brackets("mse/r0-f0") != brackets("mse/r0-f1")


@every_pruner
def test_no_pruner_is_asked_at_the_end_of_a_schedule(choice: Any) -> None:
    """A trial that has run it whole is complete: a killed study could not tell whether it was asked."""
    study = runner(MemoryStore(), pruner=choice, trials=9)
    simulate(study, trainer, devices=2)
    assert all(o.epochs < 8 for o in study.outcomes if o.state == "stopped")


@every_pruner
def test_the_cost_of_a_search_can_be_estimated(choice: Any) -> None:
    assert 3 <= expected_epochs(choice, 3, 4, draws=4) <= 3 * 4


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (Halving(), OldHalving),
        (Halving(eta=3, min_epochs=1), functools.partial(OldHalving, eta=3, min_epochs=1)),
        (OneEpoch(top=2), functools.partial(OldOneEpoch, top=2)),
    ],
)
@settings(max_examples=150)
@given(
    curves=st.lists(st.lists(st.floats(-2, 2) | st.just(math.nan), min_size=1, max_size=26), max_size=14),
    epochs=st.integers(1, 27),
)
def test_the_package_s_own_decide_as_they_always_did(new: Pruner, old: Any, curves: Any, epochs: int) -> None:
    then, now = old(epochs=epochs), search_pruner(new, epochs=epochs, search="r0-f0")
    earlier: list[TrialProgress] = []
    for number, values in enumerate(curves):
        reported = 0
        for epoch, value in enumerate(values[:epochs], 1):
            reported, row = epoch, {"epoch": epoch, "selection_score": value}
            keeps = then.keeps(number, row)
            assert keeps is not now.should_prune(progress(number, values[:epoch]), earlier)
            if not keeps:
                break
        earlier.append(ended(number, values[:reported], epochs))


def test_a_run_begun_anew_counts_by_what_its_files_say() -> None:
    """A pruner was shown scores of a process whose files were lost, and the run then took another way."""
    first, second = ([[0.1, 0.2, 0.3], [5, 5, 5, 5, 5, 5]], [[0.1, 0.2, 0.3], [0.0, 0.1]])
    later = [0.2, 0.15, 0.1]
    told, resumed = (search_pruner(Counting(every=2), epochs=12, search="r0-f0") for _ in range(2))
    written = [ended(number, values, 12) for number, values in enumerate(second)]
    for number, values in enumerate(first):
        for epoch in range(1, len(values) + 1):
            told.should_prune(progress(number, values[:epoch]), written[:number])
    assert isinstance(told, OptunaSearchPruner) and isinstance(resumed, OptunaSearchPruner)
    asked = progress(2, later)
    assert told.should_prune(asked, written) == resumed.should_prune(asked, written)
    seen = [pruner._shown[2].study.pruner.seen for pruner in (told, resumed)]  # type: ignore[attr-defined]
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("halfing", r"--pruner is 'halfing'; known: halving, none, one-epoch; of Optuna"),
        ("optuna.mean", r"known of Optuna: optuna\.hyperband, optuna\.median"),
        ("optuna.patient", r"needs settings.*Study\(pruner=optuna\.pruners\.PatientPruner\(\.\.\.\)\)"),
        ("optuna.wilcoxon", "compares the scores of many instances"),
        (wilcoxon(), "compares the scores of many instances"),
        (patient(wilcoxon()), "compares the scores"),
        (Behind, r"give an object of it, Behind\(\.\.\.\)"),
        (3, "pruner is 3: give a name, or an object"),
    ],
)
def test_what_is_no_pruner_is_refused_with_the_remedy(choice: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_pruner(choice)


def test_an_error_of_a_user_s_own_pruner_is_told_as_such() -> None:
    class Broken(Pruner):
        def should_prune(self, trial: TrialProgress, earlier: Any, epochs: int) -> bool:
            raise KeyError("train.lr")

    with pytest.raises(UserError, match=r"the pruner Broken fails: KeyError: 'train\.lr'"):
        search_pruner(Broken(), epochs=8, search="r0-f0").should_prune(progress(0, [1.0]), [])


def test_a_study_is_identified_by_its_pruner_with_its_settings_and_its_source() -> None:
    assert pruner_text("halving") == "halving" and pruner_text("optuna.median") == "optuna.median"
    assert pruner_text(Halving(eta=3)) == "Halving(eta=3, min_epochs=None)"
    own = pruner_text(Behind(margin=4))
    assert own.startswith("Behind(margin=4) [") and own != pruner_text(Behind(margin=5))
    wrapping = pruner_text(CHOICES["patient"])
    assert "MedianPruner(" in wrapping and "n_startup_trials=1" in wrapping and " at 0x" not in wrapping


@pytest.mark.parametrize(
    "name", ["halving", "optuna.median", "optuna.hyperband", "own", "own of Optuna's kind"]
)
def test_a_study_killed_in_the_middle_of_a_trial_prunes_like_an_undisturbed_one(
    name: str, tmp_path: Path
) -> None:
    """On real files: a trial that was cut short is asked about again with the epochs it had."""
    undisturbed = runner(tmp_path / "whole", pruner=CHOICES[name], trials=8, seeds=1)
    run(undisturbed)
    for cut in (3, 5, 9):
        run(runner(tmp_path / "cut", pruner=CHOICES[name], trials=8, seeds=1), at_most=cut, finish_last=False)
    resumed = runner(tmp_path / "cut", pruner=CHOICES[name], trials=8, seeds=1)
    run(resumed)
    assert story(resumed) == story(undisturbed)
    assert any(o.state == "stopped" for o in undisturbed.outcomes)
