"""One HTML file from a template: style, chart library and scripts inside, and a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from edgesmith.canonical import canonical_json
from edgesmith.lake.atomic import write_atomically
from edgesmith.trading.report.charting import CREDIT, CREDIT_URL, chart_library


def render_page(template: str, payload: Any, **values: Any) -> str:
    """Fill a template that extends `layout.html.j2`; `payload` is what the charts draw."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    library, own_script = chart_library(), _resource("charts.js")
    environment = Environment(
        loader=PackageLoader("edgesmith.trading.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        **values,
        policy=_policy(library.script, own_script),
        style=Markup(library.style + "\n" + _resource("page.css")),  # noqa: S704
        payload=Markup(_json_for_script(payload)),  # noqa: S704
        library_script=Markup(library.script),  # noqa: S704
        own_script=Markup(own_script),  # noqa: S704
        credit=CREDIT,
        credit_url=CREDIT_URL,
    )


def write_page(path: Path, page: str) -> Path:
    """Put a page in place, whole or not at all, and return its path."""

    def write(temporary: Path) -> None:
        temporary.write_text(page, encoding="utf-8")

    write_atomically(path, write)
    return path


def _policy(*scripts: str) -> str:
    # Only the two reviewed scripts run, by hash; nothing is fetched, whatever a hostile name in the data tries.
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts)
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}; base-uri 'none'; form-action 'none'"
    )


def _json_for_script(value: Any) -> str:
    text = canonical_json(value).decode()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _resource(name: str) -> str:
    return (files("edgesmith.trading.report") / name).read_text(encoding="utf-8")
