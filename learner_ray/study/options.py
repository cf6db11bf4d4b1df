"""The options of a sweep, as the command and the Python API take them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from learner_ray.core.errors import UserError
from learner_ray.core.scan_limit import DEFAULT_SCAN_GB
from learner_ray.study.profiles import BOUNDS, PROFILES, Size
from learner_ray.study.samplers import SAMPLERS

PROTOCOLS = ("nested", "development")
PLACES = ("site", "device")

MATCHES = ("compute",)
JOB = "job"
"""The value of ``hours`` that stands for what the Slurm job has left."""

CURVES = ("all", "best", "none")
TRACKERS = ("mlflow", "wandb")

RETRY = {"failed": ("audit", "final"), "failed-trials": ("trial", "audit", "final")}
"""The values of ``retry``, and the roles of runs that each stands for."""


def _option(default: Any = None, *, metavar: str = "", choices: Sequence[str] = ()) -> Any:
    """A field of :class:`SweepOptions`.

    Args:
        default: its value where nothing is given.
        metavar: what ``--help`` calls its value.
        choices: the only values it takes; empty where others are possible.
    """
    return field(default=default, metadata={"metavar": metavar or None, "choices": tuple(choices) or None})


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """How a study is run: its size, its changes to the recipe, and the devices it may use.

    Each field is the option of the same name of ``learner-ray sweep``.

    Raises:
        UserError: a value is out of its range, or two options contradict each other.
    """

    format: str | None = _option(metavar="LAYOUT")
    """Layout of the data folder, for a folder that is not recognised."""
    missing: tuple[str, ...] = _option((), metavar="CODES")
    """Comma-separated codes of a missing score, such as -1,-4,-99. Rows with such a score are left out, as
    rows with an empty score or n/a always are. The codes hold for scores alone: an age of 99 stays 99."""
    test_data: str | None = _option(metavar="PATH")
    """An external cohort, a manifest or data folder or its URL: every final run is tested there, too. Search
    and training never see it, and a complete study is tested on it without training anything."""
    test_format: str | None = _option(metavar="LAYOUT")
    """Layout of the external cohort's folder, for a folder that is not recognised."""
    profile: str | None = _option(choices=tuple(PROFILES))
    """How large the study is. Without it: paper on GPUs with real data, else laptop."""
    arms: tuple[str, ...] | None = _option(metavar="ARMS")
    """Comma-separated names of the arms to run. Without it: the study's default arms."""
    trials: int | None = _option(metavar="N")
    """Trials of each search, instead of the profile's number; 0 trains the base configuration."""
    folds: int | None = _option(metavar="N")
    """Folds, instead of the profile's number."""
    repeats: int | None = _option(metavar="N")
    """Repeats of the division into folds, instead of the profile's number."""
    splits: str | None = _option(metavar="FILE")
    """Your own partition: a table with the columns patient, repeat, fold, which says in which fold of each
    repeat a patient is tested. Repeats and folds are numbered from 0."""
    leave_out: str | None = _option(choices=PLACES)
    """One fold for each site, or device: its patients are tested by encoders that never saw a scan from
    there."""
    seeds: int | None = _option(metavar="N")
    """Final runs of each search, one seed each, instead of the profile's number."""
    audits: int | None = _option(metavar="N")
    """Audits of each search, instead of the profile's number: the selected trial trained again under another
    seed."""
    parallel_trials: int | None = _option(metavar="P")
    """Trials of each search that run at a time, instead of the profile's number. A trial then goes by those
    with numbers smaller by 2 P or more, so that the order in which they end does not matter. P is recorded as
    a part of the study."""
    hours: str | None = _option(metavar="H")
    """Hours that this start may take, or "job" for what the Slurm job has left. Where they do not suffice,
    the searches of all arms and folds close at one number of trials, such that all final runs end in time;
    scores play no part in it. It is recorded in study.json, and --extend opens the searches again."""
    max_device_hours: float | None = _option(metavar="H")
    """Device hours that the whole study may take, in all its starts; where they do not suffice, searches
    close as with --hours."""
    price_per_hour: float | None = _option(metavar="PRICE")
    """Price of a device for an hour, in any currency: --plan then says what the study costs, and the live
    view what it has cost so far."""
    epochs: int | None = _option(metavar="N")
    """Epochs of pretraining, instead of the profile's number."""
    pruner: str | None = _option(metavar="NAME")
    """What stops trials early: halving, none, one-epoch, one of Optuna's as in optuna.median, or your own.
    Without it: the study's, which is halving unless it says otherwise."""
    sampler: str = _option("tpe", choices=SAMPLERS)
    """What suggests the configuration of the next trial."""
    devices_per_trial: int = _option(1, metavar="N")
    """CPUs or GPUs of each run, trials and final runs alike."""
    trials_per_gpu: int | None = _option(metavar="N")
    """Runs that share a GPU. Without it: measured, if many runs are left."""
    max_concurrent: int | None = _option(metavar="N")
    """Most runs at a time. Without it: as many as the devices hold."""
    tensorboard: str | None = _option(choices=CURVES)
    """Shows curves in TensorBoard of all runs; of the best, which are the final runs, the ten best trials of
    each arm once they have ended, and a summary of its search; or of none. Without it: all in a study of up
    to 500 runs, else the best."""
    track: str | None = _option(choices=TRACKERS)
    """Shows all runs in an experiment tracker, too. Nothing leaves this machine unless MLFLOW_TRACKING_URI
    names a server, or WANDB_MODE is online; no patient and no file is named."""
    hung_after: float = _option(1800.0, metavar="SECONDS")
    """Ends a run that finishes no epoch within this time, and starts it once more."""
    on_demand_after: float | None = _option(metavar="MINUTES")
    """Asks for on-demand GPU nodes, as many as the cluster file allows, where no GPU node has been up for so
    long while runs wait. Without it: never. AWS and Google Cloud alone."""
    retry: str | None = _option(choices=tuple(RETRY))
    """Runs again what has failed: audits and final runs with "failed"; trials, too, with "failed-trials",
    which also searches anew what was suggested after them. Without it: failed runs stay failed."""
    set: Mapping[str, Any] = field(default_factory=dict, metadata={"metavar": "KEY=VALUE"})
    """Fixes a configuration key for all arms; may be given more than once. The keys are listed below."""
    skip_bad: bool = False
    """Goes on without scans that cannot be read."""
    max_scan_gb: float = _option(DEFAULT_SCAN_GB, metavar="GB")
    """Refuses a scan with more GB of values, at 4 bytes each, before it is read."""
    allow_duplicates: bool = False
    """Goes on though several files have the same content."""
    seed: int = _option(0, metavar="N")
    """Seed of the study, from which every split and every run draws its own."""
    address: str | None = _option(metavar="HOST:PORT")
    """Address of a Ray cluster, or "local" for Ray on this machine alone. Without it: this machine's cluster,
    if it has one."""
    looks: int | None = _option(metavar="K")
    """Looks at the results that are declared when the study begins: verdicts on results not seen before. Each
    tests at 0.05 / K; those beyond are exploratory. Without it: one."""
    extend: bool = False
    """Adds arms, trials, seeds or repeats to the study that the results folder holds."""
    protocol: str = _option("nested", choices=PROTOCOLS)
    """Search in every fold (nested), or in the first fold alone, whose settings all folds then take
    (development: cheaper, and not nested)."""
    fixed_from: str | None = _option(metavar="DIR")
    """Results folder of a searched study: all its arms run at the settings of its winner, and the winner with
    one factor in or out."""
    fixed_arm: str | None = _option(metavar="ARM")
    """With --fixed-from: the arm to take for the winner."""
    factor: Mapping[str, tuple[Any, Any]] = field(default_factory=dict, metadata={"metavar": "KEY=LOW,HIGH"})
    """A two-level factor; given for several keys, every combination of levels runs on top of the one arm of
    --arms."""
    match: str | None = _option(choices=MATCHES)
    """Adds arms that take the reference to the device time of losses that see two views of each scan: the
    reference with two views, and with twice the epochs."""
    half: bool = False
    """With --factor: half of the combinations."""

    def __post_init__(self) -> None:
        for name in ("arms", "missing"):
            value = getattr(self, name)
            if isinstance(value, str):  # as on the command line
                value = value.split(",")
            object.__setattr__(self, name, None if value is None else tuple(value))
        for option in fields(self):
            known = option.metadata.get("choices")
            value = getattr(self, option.name)
            if known and value is not None and value not in known:
                raise UserError(f"{flag(option.name)} is {value!r}: choose {', '.join(known)}")
        self._check_numbers()
        self._check_designs()

    def _check_numbers(self) -> None:
        for name in ("devices_per_trial", "trials_per_gpu", "max_concurrent", "looks"):
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and value >= 1):
                raise UserError(f"{flag(name)} must be a whole number of 1 or more, not {value!r}")
        for name in (*BOUNDS, "epochs", "seed"):
            value = getattr(self, name)
            if value is not None and not _is_whole(value):
                raise UserError(f"{flag(name)} must be a whole number, not {value!r}")
        for name in ("max_device_hours", "price_per_hour", "max_scan_gb", "on_demand_after"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"{flag(name)} must be a number above 0, not {value!r}")
        self._check_hours()
        if not 0 < self.hung_after < math.inf:
            raise UserError(f"--hung-after must be a number of seconds above 0, not {self.hung_after!r}")
        self.size_of("laptop")  # refuses sizes that no plan could have
        if "seed" in self.set:
            raise UserError(
                f"--set seed={self.set['seed']}: every run has a seed of its own, made from the study's: "
                "give --seed N"
            )

    def _check_hours(self) -> None:
        if self.hours in (None, JOB):
            return
        try:
            hours = float(self.hours or "")
        except ValueError:
            hours = math.nan
        if not 0 < hours < math.inf:
            raise UserError(f'--hours must be a number of hours above 0, or "{JOB}", not {self.hours!r}')
        object.__setattr__(self, "hours", f"{hours:g}")

    def _check_designs(self) -> None:
        if self.splits is not None and self.leave_out:
            raise UserError("--splits and --leave-out each say who is tested where: give one of them")
        if self.test_data == "":
            raise UserError("--test-data is empty: name a manifest or a data folder, or leave it out")
        if self.test_format and self.test_data is None:
            raise UserError("--test-format is the layout of --test-data: give --test-data, or leave it out")
        if self.splits == "":
            raise UserError("--splits is empty: name a table of patient, repeat and fold, or leave it out")
        if self.fixed_from and self.factor:
            raise UserError("--fixed-from and --factor make a study each: give one of them")
        if self.match and self.factor:
            raise UserError("--match adds arms beside the reference, and --factor makes its own: give one")
        if self.half and not self.factor:
            raise UserError("--half halves the combinations of --factor: give --factor, or leave out --half")
        if self.fixed_arm and not self.fixed_from:
            raise UserError("--fixed-arm names an arm of --fixed-from: give --fixed-from, or leave it out")
        if self.factor and (self.arms is None or len(self.arms) != 1 or not self.arms[0]):
            raise UserError("--factor changes one arm: name it, as in --arms contrastive")

    @property
    def edits(self) -> dict[str, Any]:
        """The dotted keys that the user fixes for all arms, the number of epochs among them."""
        return {**self.set, **({} if self.epochs is None else {"train.epochs": self.epochs})}

    def size_of(self, profile: str) -> Size:
        """The size of a study: a profile's numbers, replaced by those that the options give.

        Raises:
            UserError: a number is out of its range.
        """
        numbers = {**vars(PROFILES[profile])}
        numbers.update({name: n for name in BOUNDS if (n := getattr(self, name)) is not None})
        return Size(**numbers)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def flag(name: str) -> str:
    """The command-line option of a field."""
    return f"--{name.replace('_', '-')}"


def arguments_of(options: SweepOptions) -> list[str]:
    """The command-line arguments that give the same options; those at their default are left out."""
    defaults, words = SweepOptions(), list[str]()
    for option in fields(options):
        value = getattr(options, option.name)
        if value == getattr(defaults, option.name):
            continue
        if value is True:
            words.append(flag(option.name))
        for text in [] if value is True else _texts(value):
            # Behind an equals sign a value may begin with a minus sign.
            words += [f"{flag(option.name)}={text}"] if text.startswith("-") else [flag(option.name), text]
    return words


def _texts(value: Any) -> list[str]:
    """A value as the command line has it, once for each time its option is given."""
    if isinstance(value, Mapping):
        return [
            f"{key}={','.join(map(_text, item)) if isinstance(item, tuple) else _text(item)}"
            for key, item in value.items()
        ]
    return [",".join(value) if isinstance(value, tuple) else _text(value)]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
