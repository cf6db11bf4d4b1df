"""The page of the live view: one file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, Template
from markupsafe import Markup

from learner_ray.watch.look import Look

_HERE = Path(__file__).parent


def render(look: Look, *, refresh_s: float | None) -> str:
    """The whole page.

    Args:
        look: what it shows.
        refresh_s: seconds between two refreshes; None for a page that stays as it is and has no script.
    """
    script = _text("page.js") if refresh_s is not None else ""
    return _template("page.html").render(
        look=look,
        refresh_ms=round(1000 * refresh_s) if refresh_s is not None else None,
        style=Markup(_text("page.css")),
        script=Markup(script),
        policy=policy(live=refresh_s is not None),
    )


def render_parts(look: Look) -> str:
    """The parts of the page that change, by which its script replaces those that it shows."""
    return _template("parts.html").render(look=look)


def policy(*, live: bool) -> str:
    """The content security policy: the page's own style, its script where it is live, and nothing else."""
    style = f"style-src '{_digest(_text('page.css'))}'"
    script = f"; script-src '{_digest(_text('page.js'))}'; connect-src 'self'" if live else ""
    return f"default-src 'none'; {style}{script}; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)
