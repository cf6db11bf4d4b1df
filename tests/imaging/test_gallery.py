"""The gallery shows every scan as the network sees it, with its visit and score, and warns of it."""

import base64
import html
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from learner_ray.check import main
from learner_ray.cohort import load
from learner_ray.core.sections import PixelSettings
from learner_ray.imaging import gate
from learner_ray.imaging.gallery.pictures import data_url, lossless, shown_frame
from learner_ray.imaging.sampling import frame_indices
from tests.imaging.make_scans import write_listed, write_video


def pictures(page: str) -> dict[str, np.ndarray]:
    """Every picture (H, W) of a page, by scan."""
    found = re.findall(r'<img src="data:image/webp;base64,([^"]*)".*? alt="([^"]*)">', page)
    return {
        html.unescape(scan): np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("L"))
        for text, scan in found
    }


def noise(frames: int, seed: int, size: int = 160) -> np.ndarray:
    """Frames (T, H, W) of dim moving noise."""
    return np.random.default_rng(seed).integers(20, 60, (frames, size, size), dtype=np.uint8)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Six patients. Two clips of p0 have a name burnt in, which the crop of the second one cuts off."""
    manifest = write_listed(tmp_path, patients=6)
    named = Image.new("L", (160, 160))
    ImageDraw.Draw(named).text((20, 6), "MUSTER ANNA 1956", fill=255)
    for visit in (1, 2):
        clip = np.maximum(noise(12, visit), np.asarray(named))
        write_video(tmp_path / f"p0-{visit}.mp4", clip, options={"crf": "10"})
    text = manifest.read_text().replace("p0-1.png", "p0-1.mp4").replace("p0-2.png", "p0-2.mp4")
    head, *rows = text.splitlines()
    rows = [row + (',"0,30,160,160"' if row.startswith("p0-2") else ",") for row in rows]
    manifest.write_text("\n".join([f"{head},crop", *rows]) + "\n")
    return manifest


def test_a_page_shows_every_scan_exactly_as_the_network_sees_it(manifest, tmp_path, capsys):
    out = tmp_path / "out" / "g.html"
    settings = ["--set", "data.image_size=40", "--set", "data.frames=4"]
    assert main([str(manifest), "--gallery", str(out), "--modality", "lus", *settings]) == 0
    said, page = capsys.readouterr().out, out.read_text()
    assert f"{out}: 24 scans, 0.1 MB; keep it where the data are" in said and "every scan was decoded" in said

    cache = gate.decode(load(manifest, modality="lus"), PixelSettings(40)).cache
    shown = pictures(page)
    assert len(shown) == 24
    for scan, picture in shown.items():
        np.testing.assert_array_equal(picture, shown_frame(cache.frames(scan), 4))
    positions = [page.index(f'id="p{patient}-{visit}.') for patient in range(6) for visit in (1, 2, 3, 4)]
    assert positions == sorted(positions), "by patient, and by visit"
    changes = re.findall(r'class="change (\w+)">.*?<br>([^<]*)</div>', page)
    assert changes == [("better", "+50"), ("same", "0"), ("worse", "-50")] * 6
    assert not re.search(r'(src|href)="(?!data:|#)', page), "it loads nothing"
    assert "<script" not in page


def test_burnt_in_text_is_warned_of_where_the_network_would_see_it(manifest, tmp_path, capsys):
    assert main([str(manifest), "--gallery", str(tmp_path / "g.html"), "--modality", "lus"]) == 0
    assert "warning: 1 scan may show burnt-in text to the network" in capsys.readouterr().out
    page = (tmp_path / "g.html").read_text()
    warned = re.findall(r'<figure id="([^"]*)" class="warned"', page)
    assert warned == ["p0-1.mp4"] and page.count("<em>may show burnt-in text</em>") == 1
    whole = [str(manifest), "--modality", "lus", "--set", "data.crop=none"]
    assert main([*whole, "--gallery", str(tmp_path / "g.html")]) == 0
    assert "warning: 2 scans may show burnt-in text" in capsys.readouterr().out


def test_a_cohort_too_small_for_a_study_can_be_looked_at(tmp_path, capsys):
    manifest = write_listed(tmp_path, patients=2)
    assert main([str(manifest), "--gallery", str(tmp_path / "g.html"), "--modality", "lus"]) == 2
    said = capsys.readouterr()
    assert "g.html: 8 scans" in said.out and "use fewer folds" in said.err
    assert len(pictures((tmp_path / "g.html").read_text())) == 8


def test_ids_cannot_write_the_page(tmp_path):
    manifest = write_listed(tmp_path)
    manifest.write_text(manifest.read_text().replace("p1,", "<script>x</script>,"))
    assert main([str(manifest), "--gallery", str(tmp_path / "g.html"), "--modality", "lus"]) == 0
    assert "<script" not in (tmp_path / "g.html").read_text()


@pytest.mark.parametrize("name", ["g.png", "there.html", "manifest.csv/g"])
def test_a_page_that_cannot_be_written_is_refused_before_scans_are_read(tmp_path, capsys, name, monkeypatch):
    monkeypatch.setattr("learner_ray.imaging.ingest.read_scan", lambda *_: pytest.fail("a scan was read"))
    manifest = write_listed(tmp_path)
    (tmp_path / "there.html").mkdir()
    assert main([str(manifest), "--gallery", str(tmp_path / name)]) == 2
    assert name.partition("/")[0] in capsys.readouterr().err


def test_the_frame_shown_is_one_of_those_that_the_network_is_given():
    frames = np.arange(37, dtype=np.uint8)[:, None, None]
    import torch

    for number in (1, 4, 8, 60):
        given = frame_indices(torch.tensor([37]), number, None)[0].tolist()
        assert int(shown_frame(frames, number)[0, 0]) in given


def test_a_page_of_very_many_scans_is_bounded_by_loss():
    assert lossless(2000, 112) and not lossless(2000, 224) and not lossless(20_000, 112)
    frame = noise(1, 3, 112)[0]
    assert len(data_url(frame, exact=False)) < len(data_url(frame, exact=True)) / 2
