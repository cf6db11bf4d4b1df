"""A complete final run tested on an external cohort, with what it stored: nothing is trained."""

from __future__ import annotations

import pandas as pd

from learner_ray.run.external_files import PAIRS, SCORES, write_external
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import RunSpec, Source
from learner_ray.training.data import Data, open_data
from learner_ray.training.predictions import pair_table, score_table
from learner_ray.training.predictor import Predictor
from learner_ray.training.progression import Embedded, Progression


def predict_externally(folder: RunFolder, source: Source, device: str = "cpu") -> None:
    """Predicts an external cohort's progression pairs with a final run, and writes them into its folder.

    Predicted scores are standardised as in training, by the training patients of the run. The classifier is
    the run's own. A control without an encoder has stored none: it is fitted again, on the same pairs with
    the same seed, which takes no scan and gives the same classifier.

    Args:
        folder: of a complete final run.
        source: the external cohort, whose hash and unreadable scans are known.
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: the run is not complete or its files are damaged, or the cohort has changed.
    """
    spec = folder.read_spec()
    if spec.config.progression.uses_encoder:
        tables = _with_encoder(folder, source, device)
    else:
        data = open_data(source, spec.config.data.image_size)
        tables = {PAIRS: _pairs(data, _refitted(spec), Embedded({}, {}))}
    write_external(folder, source, spec.hash, tables)


def _with_encoder(folder: RunFolder, source: Source, device: str) -> dict[str, pd.DataFrame]:
    predictor = Predictor.load(folder.path, device)
    data = open_data(source, predictor.spec.config.data.image_size)
    embedded = predictor.embed(data)
    scores = score_table(data.cohort, data.scans, embedded)
    return {PAIRS: _pairs(data, predictor.progression, embedded), SCORES: scores}


def _refitted(spec: RunSpec) -> Progression:
    config = spec.config
    trained = open_data(spec.source, config.data.image_size)
    pairs, scans = trained.pairs(spec.patients.classifier), trained.of(spec.patients.classifier)
    return Progression.fit(config.progression, pairs, scans, Embedded({}, {}), config.seed)


def _pairs(data: Data, progression: Progression, embedded: Embedded) -> pd.DataFrame:
    pairs = data.pairs(data.cohort.patients)
    probabilities = progression.predict(pairs, data.scans, embedded)
    decided = progression.decide(probabilities)
    return pair_table(data.cohort, pairs, data.scans, probabilities, decided, embedded)
