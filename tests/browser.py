"""Pages as headless Chromium shows them: their content after their scripts ran, and what axe-core finds."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed")
DARK = "--blink-settings=preferredColorScheme=0"
SERIOUS = ("serious", "critical")
"""Words of axe-core for what keeps people from using a page."""
RUN = """axe.run(document, {resultTypes: ["violations"]}).then((found) => {
  const result = document.createElement("pre");
  result.id = "axe-result";
  result.textContent = JSON.stringify(found.violations.map((v) => [v.impact, v.id, v.nodes[0].html]));
  document.body.append(result);
});"""


def shown(page: Path, script: str = "", *options: str) -> str:
    """The document of a page after its own scripts, and then another, have run.

    Args:
        page: an HTML file.
        script: is put at the end of the page's body.
        options: more options of Chromium.
    """
    text = page.read_text(encoding="utf-8")
    body, end, rest = text.rpartition("</body>")
    assert end, "the page has a body"
    other = page.with_name("with-script.html")
    other.write_text(f"{body}<script>{script}</script>{end}{rest}", encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
    done = subprocess.run(
        [*command, *options, "--dump-dom", other.as_uri()], capture_output=True, text=True, timeout=120
    )
    return done.stdout


def violations(page: Path, *options: str) -> Sequence[tuple[str, str, str]]:
    """What axe-core finds against the accessibility guidelines: impact, rule, and the first place."""
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    axe = axe.replace("</script", "<\\/script")
    found = re.search(r'<pre id="axe-result">(.*?)</pre>', shown(page, f"{axe}\n{RUN}", *options), re.DOTALL)
    assert found, "axe-core gave an answer"
    return [tuple(each) for each in json.loads(html.unescape(found[1]))]
