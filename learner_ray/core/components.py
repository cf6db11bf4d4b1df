"""Every kind of component, with those that come with the package."""

from __future__ import annotations

from learner_ray.core.registry import BuiltIn, Registry


def _loss(module: str, cls: str, config: str) -> BuiltIn:
    address, configs = f"learner_ray.losses.{module}:{cls}", "learner_ray.losses.configs"
    return BuiltIn(address=address, config=f"{configs}:{config}")


LOSSES = Registry(
    kind="loss",
    base="learner_ray.losses.base:Loss",
    built_in={
        "mse": _loss("mse", "Mse", "LossConfig"),
        "contrastive": _loss("contrastive", "Contrastive", "ContrastiveConfig"),
        "rank_n_contrast": _loss("rank_n_contrast", "RankNContrast", "RankNContrastConfig"),
        "y_aware": _loss("y_aware", "YAware", "YAwareConfig"),
        "expw": _loss("expw", "ExpW", "ExpWConfig"),
        "adacon": _loss("adacon", "AdaCon", "AdaConConfig"),
        "log_ratio": _loss("log_ratio", "LogRatio", "LossConfig"),
        "supcon": _loss("supcon", "SupCon", "SupConConfig"),
        "siamese": _loss("siamese", "Siamese", "SiameseConfig"),
    },
)


def _resnet(cls: str) -> BuiltIn:
    address = f"learner_ray.encoders.resnet:{cls}"
    return BuiltIn(address=address, config="learner_ray.core.sections:EncoderConfig")


def _monai(cls: str, config: str) -> BuiltIn:
    address, configs = f"learner_ray.encoders.monai_networks:{cls}", "learner_ray.encoders.configs"
    return BuiltIn(address=address, config=f"{configs}:{config}", package="monai")


ENCODERS = Registry(
    kind="encoder",
    base="learner_ray.encoders.base:Encoder",
    built_in={
        "tsm_resnet18": _resnet("TsmResNet18"),
        "tsm_resnet34": _resnet("TsmResNet34"),
        "tsm_resnet50": _resnet("TsmResNet50"),
        "monai_resnet18": _monai("MonaiResNet18", "MonaiConfig"),
        "monai_resnet50": _monai("MonaiResNet50", "MonaiConfig"),
        "monai_efficientnet_b0": _monai("MonaiEfficientNetB0", "MonaiEfficientNetConfig"),
        "monai_densenet121": _monai("MonaiDenseNet121", "MonaiUnshiftedConfig"),
        "monai_resnet18_3d": _monai("MonaiResNet18In3d", "MonaiVolumeConfig"),
        "monai_densenet121_3d": _monai("MonaiDenseNet121In3d", "MonaiVolumeConfig"),
    },
)

SELECTION_METRICS = Registry(
    kind="selection_metric",
    base="learner_ray.training.selection_metrics:SelectionMetric",
    selected_by="progression.selection_metric",
    built_in={
        "kappa": BuiltIn(address="learner_ray.training.selection_metrics:Kappa"),
        "macro_f1": BuiltIn(address="learner_ray.training.selection_metrics:MacroF1"),
        "balanced_accuracy": BuiltIn(address="learner_ray.training.selection_metrics:BalancedAccuracy"),
        "log_loss": BuiltIn(address="learner_ray.training.selection_metrics:LogLoss"),
    },
)

SOURCES = Registry(
    kind="source",
    base="learner_ray.cohort.sources.base:SourceLayout",
    selected_by="--format",
    built_in={
        "covid-blues": BuiltIn(address="learner_ray.cohort.sources.covid_blues:CovidBlues"),
        "oasis2": BuiltIn(address="learner_ray.cohort.sources.oasis2:Oasis2"),
    },
)


def _importer(module: str, cls: str) -> BuiltIn:
    return BuiltIn(address=f"learner_ray.cohort.sources.{module}:{cls}")


IMPORTERS = Registry(
    kind="importer",
    base="learner_ray.cohort.sources.importer:Importer",
    selected_by="KIND",
    built_in={
        "bids": _importer("bids", "Bids"),
        "caps": _importer("caps", "Caps"),
        "adni": _importer("adni", "Adni"),
        "oasis": _importer("oasis", "Oasis"),
        "covid-blues": _importer("covid_blues", "CovidBluesImporter"),
        "dicom": _importer("dicom", "Dicom"),
        "table": _importer("listing", "Listing"),
    },
)

PRUNERS = Registry(
    kind="pruner",
    base="learner_ray.study.pruners:Pruner",
    also="optuna.pruners:BasePruner",
    selected_by="--pruner",
    built_in={
        "halving": BuiltIn(address="learner_ray.study.halving:Halving"),
        "none": BuiltIn(address="learner_ray.study.pruners:NoPruning"),
        "one-epoch": BuiltIn(address="learner_ray.study.halving:OneEpoch"),
    },
)

KINDS = {
    registry.kind: registry for registry in (LOSSES, ENCODERS, SELECTION_METRICS, SOURCES, IMPORTERS, PRUNERS)
}
"""By the word that entry points (``learner_ray.<kind>``) and messages use."""
