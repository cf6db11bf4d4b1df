"""Commands of a page, as a reader would type them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from learner_ray.cli.main import main

ROOT = Path(__file__).parents[2]

SMALL = "--profile laptop --folds 2 --trials 0 --epochs 1 --arms mse,earlier_score --max-concurrent 2"
SMALL += " --set data.image_size=32 --set data.frames=2"
"""What is added to every sweep and plan of a page: the last of two equal options counts."""
FEW = "--draws 200"
"""What is added to every report."""


def commands(page: str) -> list[str]:
    """The lines of a page's blocks of ``sh``; its other blocks show output, or what no test can do."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return [line for line in "".join(blocks).splitlines() if line.strip()]


def carry_out(line: str, more: str = "", named: Mapping[str, str] | None = None) -> int:
    """Carries out a line that begins with ``learner-ray``, made small; its exit code.

    Args:
        line: the command as it stands on the page.
        more: further options, for a sweep or a plan.
        named: what stands for words of the page, such as ``RUN_HASH``.
    """
    for word, value in (named or {}).items():
        line = line.replace(word, value)
    program, verb, *words = shlex.split(line)
    assert program == "learner-ray", line
    added = {"sweep": f"{SMALL} {more}", "plan": f"{SMALL} {more}", "report": FEW}.get(verb, "")
    return main([verb, *words, *shlex.split(added)])
