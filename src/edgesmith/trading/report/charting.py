"""Where the chart library comes from: uPlot, carried by the installed package `youplot` (ADR 0011).

The files are read, never imported or copied into this repository, and must be byte for byte the official uPlot 1.6.31: what a
report runs in the reader's browser is exactly what was reviewed.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution

import msgspec

from edgesmith.errors import InputError

CARRIER = "youplot"
CARRIER_VERSION = "1.0.0"
CREDIT = "uPlot 1.6.31"
CREDIT_URL = "https://github.com/leeoniya/uPlot"

_SHA256_OF = {
    "youplot/vendor/uplot.iife.min.js": "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2",
    "youplot/vendor/uplot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


class ChartLibrary(msgspec.Struct, frozen=True):
    """The library's script and style sheet, ready to inline."""

    script: str
    style: str


def chart_library() -> ChartLibrary:
    """Read the installed chart library; raises InputError when it is absent or not the reviewed release."""
    script, style = (_reviewed(name, sha256) for name, sha256 in _SHA256_OF.items())
    return ChartLibrary(script=script, style=style)


def _reviewed(name: str, sha256: str) -> str:
    remedy = f"install {CARRIER}=={CARRIER_VERSION}"
    try:
        content = distribution(CARRIER).locate_file(name).read_bytes()  # type: ignore[attr-defined]
    except (PackageNotFoundError, OSError):
        raise InputError(f"the chart library file {name} was not installed, expected it in {CARRIER}; {remedy}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(
            f"the chart library file {name} was not {CREDIT}, which is the release this report was reviewed with; {remedy}"
        )
    return content.decode()
