"""What a sweep is given, read and checked before anything slow is loaded or started.

A mistake in an option, a study, a key, an arm or the cohort's table is reported here, within a second, and
before a cluster is asked for devices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from learner_ray.cohort import Cohort, DivisionAsked
from learner_ray.cohort.faults import all_listed
from learner_ray.cohort.table import SUFFIXES
from learner_ray.core.errors import UserError
from learner_ray.core.files import cache_root
from learner_ray.core.names import file_name
from learner_ray.core.paths import refuse_unwritable
from learner_ray.imaging.gate import Decoded, decode, inspect
from learner_ray.imaging.source import PHANTOM, open_cohort, with_layout
from learner_ray.run.object_storage import StoredFolder, is_url
from learner_ray.run.spec import Source
from learner_ray.study.options import SweepOptions
from learner_ray.study.profiles import folds_asked
from learner_ray.study.pruner_choice import check_pruner
from learner_ray.study.results import Results
from learner_ray.study.study import Study
from learner_ray.study.study_file import load_study

if TYPE_CHECKING:
    from collections.abc import Callable

    from learner_ray.study.designs import Winner
    from learner_ray.study.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a sweep is asked for, as far as neither the cohort nor the devices are needed to know it."""

    study: Study
    """The study that was named, or what --fixed-from or --factor makes of it."""
    arms: tuple[str, ...]
    winner: Winner | None
    """The winner of the study that --fixed-from names."""
    source: Source
    results: Results
    options: SweepOptions

    @property
    def shared_data(self) -> str | None:
        """The data that every node must be able to read: a whole path or URL; None for the phantom cohort.

        A whole path, since other processes of a cluster have working directories of their own.
        """
        return None if self.source.path.startswith(PHANTOM) else self.source.path


def read_request(
    study: str | Path | Study, data: str | Path | None, out: str | Path | None, options: SweepOptions
) -> Request:
    """Checks all that can be checked without the data.

    Args:
        study: a name, the path of a study file, or a study.
        data: a manifest or data folder, or a URL of one; None for the modality's phantom cohort.
        out: the results folder or its URL; None for the default below ``results``.
        options: how the study is run.

    Raises:
        UserError: the study, an arm, a key or a path cannot be.
    """
    found = study if isinstance(study, Study) else load_study(str(study))
    if (endpoint := options.edits.get("progression.endpoint")) is not None:
        found = found.with_endpoint(endpoint)
    winner = None
    if options.match:
        from learner_ray.study.designs import compute_matched

        found = compute_matched(found, options.arms)
    if options.fixed_from:
        from learner_ray.study.designs import around, read_winner

        winner = read_winner(Path(options.fixed_from), options.fixed_arm)
        found = around(found, winner)
    if options.factor:
        from learner_ray.study.designs import factorial

        (arm,) = options.arms or ()
        found = factorial(found, found.arm(arm), options.factor, half=options.half)
    named = None if options.factor or options.match else options.arms
    arms = found.default_arms if named is None else named
    found.base.with_values(options.edits)
    check_pruner(options.pruner or found.pruner)
    for arm in arms:
        found.arm(arm)
    source, results = choose_source(found, data, out, options)
    return Request(study=found, arms=arms, winner=winner, source=source, results=results, options=options)


def read_cohort(request: Request) -> tuple[Request, Cohort]:
    """The cohort of a request, which passes the gate as far as tables and the scans' headers tell; and the
    request, whose source names the layout that was recognised.

    Raises:
        UserError: it does not pass, or a folder that is needed cannot be written.
    """
    options, results, study = request.options, request.results, request.study
    for folder in (results.out, results.store.root, cache_root()):
        refuse_unwritable(folder)
    with all_listed(results.faults):
        request = replace(request, source=with_layout(request.source))
        cohort = open_cohort(request.source)
        if cohort.modality != study.modality:
            raise UserError(
                f"{request.source.path} is a cohort of {cohort.modality}, but study {study.name} is of "
                f"{study.modality}: name a study of {cohort.modality}, or other data"
            )
        folds = folds_asked(options.folds, options.profile)
        division = division_asked(options)
        if division.is_given:
            division.divide(cohort, folds=0, repeats=0, seed=options.seed)
            folds = []
        inspect(
            cohort,
            folds=folds,
            seed=options.seed,
            skip_bad=options.skip_bad,
            most_gb=options.max_scan_gb,
        )
    return request, cohort


def plan_request(request: Request, cohort: Cohort, *, gpus: int, precision: str, numerics: int) -> Plan:
    """The plan of a request, for the devices there are.

    Args:
        request: what is asked for.
        cohort: its cohort.
        gpus: how many GPUs there are.
        precision: what ``train.precision=auto`` is on these devices.
        numerics: the number of the runs that the results folder holds, or of this version.

    Raises:
        UserError: the cohort cannot be split so, or a package that the sampler needs is missing.
    """
    from learner_ray.study.closing import size_now
    from learner_ray.study.other_numerics import recipe_then
    from learner_ray.study.plan import make_plan
    from learner_ray.study.samplers import make_sampler

    options = request.options
    profile = options.profile or ("paper" if gpus and not cohort.phantom else "laptop")
    make_sampler(options.sampler, 0, 0)  # a package that it lacks is named before anything runs
    return make_plan(
        recipe_then(request.study, numerics),
        cohort,
        request.source,
        profile=profile,
        size=size_now(request.results.study(), options.size_of(profile), extend=options.extend),
        arms=request.arms,
        edits=options.edits,
        precision=precision,
        seed=options.seed,
        threads=1,
        pruner=options.pruner or request.study.pruner,
        sampler=options.sampler,
        winner=request.winner,
        division=division_asked(options),
        development=options.protocol == "development",
        numerics=numerics,
    )


def division_asked(options: SweepOptions) -> DivisionAsked:
    """Where the options have the test patients come from."""
    return DivisionAsked(
        splits=options.splits, leave_out=options.leave_out, folds=options.folds, repeats=options.repeats
    )


def read_scans(
    plan: Plan, request: Request, content_list: str, progress: Callable[[int, int], None]
) -> tuple[Plan, Decoded]:
    """Reads the cohort's scans, once, and completes the plan with what was found: the scans' content is part
    of every run's identity, and so are the scans that cannot be read.

    Args:
        plan: a plan of the cohort as its table describes it.
        request: what the plan was made from.
        content_list: the name of the file in the results folder that will list the scans' contents.
        progress: called with the number of scans read so far and of all.
    """
    with all_listed(request.results.faults):
        decoded = decode(
            plan.cohort,
            plan.base.data.pixels,
            skip_bad=request.options.skip_bad,
            allow_duplicates=request.options.allow_duplicates,
            most_gb=request.options.max_scan_gb,
            progress=progress,
        )

    def found(source: Source) -> Source:
        return replace(
            source,
            cohort_hash=decoded.cohort.hash,
            covariates_hash=decoded.cohort.covariates_hash,
            bad_scans=tuple(sorted(decoded.cache.bad)),
            contents=request.results.address_of(content_list),
        )

    groups = [replace(group, source=found(group.source)) for group in plan.groups]
    return replace(plan, cohort=decoded.cohort, source=found(plan.source), groups=groups), decoded


def choose_source(
    study: Study, data: str | Path | None, out: str | Path | None, options: SweepOptions
) -> tuple[Source, Results]:
    """The cohort's source and the place of the results.

    Raises:
        UserError: a path is empty or cannot be, or the results would lie among the data.
    """
    data, out = (None if place is None else str(place) for place in (data, out))
    for option, value in (("--data", data), ("--out", out)):
        if value == "":
            raise UserError(f"{option} is empty: name a path, or leave it out")
    if data and is_url(data):
        path = StoredFolder.at(data).url
        folder = path.rpartition("/")[0] if path.endswith(SUFFIXES) else path
        if out and out.startswith(f"{folder}/"):
            raise UserError(
                f"--out {out} lies among the data, with which every node would fetch it: name a folder "
                "beside the data"
            )
    else:
        path = f"{PHANTOM}{study.modality}" if data is None else _whole_path(data)
    source = Source(path=path, format=options.format, modality=study.modality, missing=options.missing)
    return source, Results(out or str(_default_out(study, data, options)))


def _default_out(study: Study, data: str | None, options: SweepOptions) -> Path:
    made = "-fixed" if options.fixed_from else "-factorial" if options.factor else ""
    return Path("results") / file_name(f"{study.name}{made}{'-phantom' if data is None else ''}")


def _whole_path(path: str) -> str:
    try:
        return str(Path(path).expanduser().resolve())
    except (OSError, RuntimeError) as error:  # a link to itself; a user that is not known
        raise UserError(f"--data {path}: {error}; give a manifest (.csv, .tsv) or a data folder") from error
