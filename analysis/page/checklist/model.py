"""What the record has on the model, its training and selection, and the software."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.page.checklist.record import Evidence, ReportedStudy
from analysis.page.methods_text.encoder import BALANCES, OPTIMISERS
from analysis.page.methods_text.record import counted
from analysis.page.methods_text.selection import DECISIONS, INPUTS
from analysis.results.names import printable

NO_SEARCH = "nothing was searched"


def predictors(record: ReportedStudy) -> Evidence | None:
    """What the progression classifier sees."""
    seen = record.get("base.progression.input")
    return record.stated(f"scans of both visits, input {seen}" if seen else "", INPUTS.get(seen, seen))


def model(record: ReportedStudy) -> Evidence | None:
    """Encoder and classifier of the base configuration, and the arms."""
    encoder, head = record.get("base.encoder.name"), record.get("base.progression.head")
    if encoder is None:
        return None
    arms = [arm.label for arm in record.study.arms if not arm.control]
    value = f"encoder {encoder}, classifier {head or 'not recorded'}; arms: {', '.join(arms)}"
    return Evidence(value=value, at=record.in_methods(encoder))


def output(record: ReportedStudy) -> Evidence | None:
    """Class probabilities, and how a class is decided on."""
    decision = record.get("base.progression.decision")
    if decision is None or record.study.compared.empty:
        return None
    value = f"probabilities of {record.classes('and')}; decision rule {decision}"
    return Evidence(value=value, at=record.in_methods(DECISIONS.get(decision, decision)))


def weights(record: ReportedStudy) -> Evidence | None:
    """What the encoder's weights begin as."""
    start = record.get("base.encoder.weights")
    return record.stated(f"weights {start}" if start else "", start, "weights")


def training(record: ReportedStudy) -> Evidence | None:
    """The base values of training, which searches and arms change."""
    named = ("optimizer", "lr", "batch_size", "epochs", "weight_decay", "precision")
    optimizer, epochs = record.get("base.train.optimizer"), record.get("base.train.epochs")
    told = OPTIMISERS.get(optimizer, optimizer)
    return record.stated(record.values("base.train", named), told, epochs, "epochs")


def search(record: ReportedStudy) -> Evidence | None:
    """What was searched, how often and by which sampler; or that nothing was."""
    searched = sorted({key for arm in record.study.arms for key in arm.searched})
    if record.study.searched_nothing:
        return record.stated(NO_SEARCH, NO_SEARCH)
    if record.get("trials") is None:
        return None
    folds = "in the first fold" if record.get("development") else "in each fold"
    how = [f"{counted(record.get('trials'), 'trial')} of each searched arm {folds}"]
    how += [f"{name} {record.get(name)}" for name in ("sampler", "pruner") if record.get(name)]
    value = f"{', '.join(how)}; over {', '.join(searched) or 'keys that were not recorded'}"
    return Evidence(value=value, at=record.table("search") or record.in_methods(*searched))


def selection(record: ReportedStudy) -> Evidence | None:
    """The selection score, and that the best trial is trained again."""
    metric = record.get("selection_metric")
    if record.study.searched_nothing:
        return record.stated(f"{NO_SEARCH}, so no trial was selected", NO_SEARCH)
    if metric is None:
        return None
    return Evidence(value=f"best trial by {metric}, trained again", at=record.in_methods(metric))


def imbalance(record: ReportedStudy) -> Evidence | None:
    """How batches are balanced."""
    balance = record.get("base.train.balance")
    return record.stated(f"batches balanced by: {balance}" if balance else "", BALANCES.get(balance, balance))


def software(record: ReportedStudy) -> Evidence | None:
    """Versions of the packages, and the machine."""
    versions, hardware = record.get("versions"), record.get("hardware")
    if not isinstance(versions, Mapping):
        return None
    named = [f"{name} {version}" for name, version in versions.items()]
    named += [f"{name} {value}" for name, value in hardware.items()] if isinstance(hardware, Mapping) else []
    return Evidence(value=printable(", ".join(named)), at=record.in_methods(*versions.values()))


def code(record: ReportedStudy) -> Evidence | None:
    """The commit and the command that repeats the study."""
    commit, command = record.get("git_sha"), record.get("command")
    if commit is None or command is None:
        return None
    value = f"commit {commit}, numerics {record.study.numerics}, command {printable(str(command))}"
    return Evidence(value=value, at=record.in_methods(commit, command))


def run_hashes(record: ReportedStudy) -> Evidence | None:
    """The final runs whose encoders and predictions are kept under their hash."""
    runs = record.study.compared
    count = runs.loc[runs["run_hash"] != "", "run_hash"].nunique() if len(runs) else 0
    return Evidence(value=f"{count} final runs, by hash in every CSV", at="comparison") if count else None


def no_ensemble(record: ReportedStudy) -> Evidence | None:
    """Each final run predicts by itself; metrics are averaged, predictions are not."""
    found = run_hashes(record)
    return Evidence(value="each final run predicts alone", applies=False) if found else None


def no_updating(record: ReportedStudy) -> Evidence | None:
    """Without an external cohort there is nothing that a model could be updated to."""
    if record.get("external") or record.study.compared.empty:
        return None
    return Evidence(value="not evaluated on further data, so not updated", applies=False)
