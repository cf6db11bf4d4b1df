"""A complete final run tested on an external cohort, with what it stored: nothing is trained."""

from __future__ import annotations

import pandas as pd

from learner_ray.run.external_files import COMBINED, PAIRS, SCORES, write_external
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import RunSpec, Source
from learner_ray.training.data import Data, data_of
from learner_ray.training.predictions import WEIGHTS, WITH_EARLIER_SCORE, pair_table, score_table
from learner_ray.training.predictor import Predictor
from learner_ray.training.progression import Embedded, Progression
from learner_ray.training.with_earlier_score import WithEarlierScore


def predict_externally(folder: RunFolder, source: Source, device: str = "cpu") -> None:
    """Predicts an external cohort's progression pairs with a final run, and writes them into its folder.

    Predicted scores are standardised as in training, by the training patients of the run. The classifier is
    the run's own. A control without an encoder has stored none: it is fitted again, on the same pairs with
    the same seed, which takes no scan and gives the same classifier. A run that was combined with the earlier
    score is so here, by the weights that it stored and the earlier-score control of its training patients.

    Args:
        folder: of a complete final run.
        source: the external cohort, whose hash and unreadable scans are known, with the study file that the
            user named.
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: the run is not complete or its files are damaged, or a cohort has changed.
    """
    spec = folder.read_spec()
    if spec.config.progression.uses_encoder:
        predictor = Predictor.load(folder.path, device, source.study_file)
        own, data = predictor.progression, data_of(source, spec.config)
        embedded = predictor.embed(data)
        tables = {SCORES: score_table(data.cohort, data.scans, embedded)}
    else:
        own, data = _refitted(spec), data_of(source, spec.config)
        embedded, tables = Embedded({}, {}), {}
    tables[PAIRS] = _pairs(data, own, embedded)
    if (folder.path / WITH_EARLIER_SCORE).is_file():
        weights = _weights(folder)
        table = _pairs(data, _with_earlier_score(spec, own, weights), embedded)
        tables[COMBINED] = table.assign(**dict(zip(WEIGHTS, weights, strict=True)))
    write_external(folder, source, spec.hash, tables)


def _refitted(spec: RunSpec) -> Progression:
    config = spec.config
    trained = data_of(spec.source, config)
    pairs, scans = trained.pairs(spec.patients.classifier), trained.of(spec.patients.classifier)
    return Progression.fit(config.progression, pairs, scans, Embedded({}, {}), config.seed)


def _weights(folder: RunFolder) -> tuple[float, float]:
    """The weights of the earlier score and of the run's own classifier: the same in each row."""
    of_score, own = pd.read_parquet(folder.path / WITH_EARLIER_SCORE, columns=[*WEIGHTS]).iloc[0]
    return float(of_score), float(own)


def _with_earlier_score(spec: RunSpec, own: Progression, weights: tuple[float, float]) -> WithEarlierScore:
    trained, patients = data_of(spec.source, spec.config), spec.patients.trained
    return WithEarlierScore.restore(
        own, trained.pairs(patients), trained.of(patients), weights, spec.config.seed
    )


def _pairs(data: Data, progression: Progression | WithEarlierScore, embedded: Embedded) -> pd.DataFrame:
    pairs = data.pairs(data.cohort.patients)
    probabilities = progression.predict(pairs, data.scans, embedded)
    decided = progression.decide(probabilities)
    return pair_table(data.cohort, pairs, data.scans, probabilities, decided, embedded)
