"""The worked example of docs/own-study.md, run as it stands there on radiographs made up here."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis import report
from learner_ray import predict, sweep, train
from learner_ray.cli import cohort
from learner_ray.study.study import WITH_EARLIER_SCORE

PAGE = (Path(__file__).parents[1] / "docs" / "own-study.md").read_text()
SMALL = "--profile laptop --folds 2 --trials 1 --epochs 2 --set data.image_size=32 --max-concurrent 2"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def command(program: str) -> list[str]:
    """The arguments of the page's line that calls a program."""
    lines = "".join(blocks("sh")).splitlines()
    return shlex.split(next(line for line in lines if program in line).partition(program)[2])


def write_radiograph(path: Path, saturation: float, rng: np.random.Generator, size: int = 64) -> None:
    """Two dark lungs in a bright chest; the lower the saturation, the whiter their bases."""
    y, x = np.mgrid[:size, :size] / size
    image = 180 + rng.normal(0, 12, (size, size))
    for centre in (0.3, 0.7):
        lung = ((x - centre) / 0.15) ** 2 + ((y - 0.5) / 0.35) ** 2 < 1
        image[lung] -= 120
        image[lung & (y > 0.5)] += 110 * (100 - saturation) / 20
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(path)


def write_cohort(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir()
    lines = [blocks("csv")[0].splitlines()[0]]
    for patient in range(12):
        scores = np.clip(93 + np.cumsum([0, *rng.permutation([-4, 1, 4, 0])[:3]]), 82, 100)
        for visit, score in enumerate(scores, start=1):
            name = f"p{patient:02d}-{visit}.png"
            write_radiograph(folder / name, score, rng)
            lines.append(f"{name},p{patient:02d},2024-03-{visit:02d},{score}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    stated = json.loads(blocks("json")[0]) | {"phantom": True}
    (folder / "manifest.score.json").write_text(json.dumps(stated))


@pytest.mark.long
@pytest.mark.usefixtures("joined")
def test_a_third_modality_needs_a_manifest_and_a_study_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cohort(Path("chest"))
    Path("cxr.py").write_text(blocks("python")[0])

    assert cohort.main(command("learner_ray.cohort")) == 0
    assert sweep.main([*command("learner_ray.sweep"), *SMALL.split()]) == 0
    ledger = pd.read_parquet("results/cxr/ledger.parquet")
    assert set(ledger["modality"]) == {"cxr"} and ledger["phantom"].all()
    own = ledger[~ledger["arm"].str.endswith(WITH_EARLIER_SCORE)]
    assert own.groupby("arm").size().to_dict() == {"earlier": 36, "mse": 36, "ordered": 36}

    assert report.main([*command("analysis/report.py"), "--draws", "200"]) == 0
    page = Path("report/index.html").read_text()
    assert "cxr" in page and "MSE + distance correlation" in page and "phantom" in page

    run = Path("results/runs") / ledger.loc[ledger["arm"] == "ordered", "run_hash"].iloc[0]
    assert predict.main([word.replace("RUN_HASH", run.name) for word in command("learner_ray.predict")]) == 0
    predicted = pd.read_csv("predictions.csv")
    assert predicted["unit"].tolist() == ["%", "%"] and predicted["p_same"].isna().tolist() == [True, False]

    again = run / "config.json"
    assert train.main([str(again)]) == 2
    assert "name it with --study FILE" in capsys.readouterr().err
    assert train.main([str(again), "--study", "cxr.py"]) == 0
    assert hashlib.sha256(Path("cxr.py").read_bytes()).hexdigest() in capsys.readouterr().out
    Path("cxr.py").write_text(blocks("python")[0].replace("1 - cosine", "2 - cosine"))
    assert train.main([str(again), "--study", "cxr.py"]) == 2
    assert "cxr.py has changed" in capsys.readouterr().err
