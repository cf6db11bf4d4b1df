"""Makes the pictures of the documentation from the phantom study that ``make sweep`` leaves.

    python docs/site/pictures.py results/lus-phantom

Draws the report and the gallery of the phantom cohort, photographs them with Chromium, and writes
``docs/pictures/*.png``, each below 150 kB. All of them are of made-up scans.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from learner_ray.imaging.phantoms.cohort import write_phantom

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs/pictures"
LIMIT = 150_000
"""Bytes of a picture, since each lies in the repository."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
COLOURS = 128


def main(results: Path) -> None:
    """Makes all pictures anew.

    Args:
        results: the folder of a phantom study.
    """
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        report, gallery = Path(folder, "report"), Path(folder, "gallery.html")
        run("analysis/report.py", str(results), "--out", str(report))
        phantom = Path(folder, "phantom")
        write_phantom("lus", phantom, patients=6)
        run("-m", "learner_ray.check", str(phantom), "--gallery", str(gallery))
        photograph(report / "index.html", "report", 1280, 1010)
        photograph(report / "figures/forest.svg", "forest", 880, 165)
        photograph(gallery, "gallery", 880, 760)


def run(*words: str) -> None:
    """Runs Python with some arguments; an error ends everything."""
    subprocess.run([sys.executable, *words], check=True, cwd=ROOT)


def photograph(page: Path, name: str, width: int, height: int) -> None:
    """Writes a picture of the upper part of a page.

    Args:
        page: a file of HTML or SVG.
        name: of the picture, without a suffix.
        width: of the window, in pixels of CSS.
        height: of the window.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"error: none of {', '.join(BROWSERS)} is installed")
    target = PICTURES / f"{name}.png"
    size = [f"--window-size={width},{height}", "--force-device-scale-factor=1.5", "--hide-scrollbars"]
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        *size,
        f"--screenshot={target}",
        page.resolve().as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True)
    Image.open(target).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    if target.stat().st_size > LIMIT:
        sys.exit(f"error: {target} has {target.stat().st_size} bytes, more than {LIMIT}")
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
