"""The peers' own environments, made on demand: their requirements exclude each other's, and ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

# Newest versions that run on Python 3.11, with their fastest optional engine.
ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "peers": ("hftbacktest==2.4.4", "nautilus_trader==1.221.0", "orjson==3.13.0"),
    "vectorbt": ("vectorbt==1.2.0", "vectorbt-rust==1.2.0"),
}
INSTALL_SECONDS_MAX = 900


class InstallError(Exception):
    """An environment could not be made; the message says why."""


def interpreter(name: str) -> str:
    """Return the interpreter of environment `name`, made where it is missing; ours for an empty name."""
    if not name:
        return sys.executable
    folder = FOLDER / f".venv-{name}"
    ready = folder / ".ok"
    wanted = "\n".join(ENVIRONMENTS[name])
    if not (ready.is_file() and ready.read_text(encoding="utf-8") == wanted):
        _uv("venv", "-q", "--clear", "-p", sys.executable, str(folder))
        _uv("pip", "install", "-q", "-p", str(folder / "bin" / "python"), *ENVIRONMENTS[name])
        ready.write_text(wanted, encoding="utf-8")
    return str(folder / "bin" / "python")


def _uv(*arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("uv")), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"not installed: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"uv ended with {done.returncode}"]
        raise InstallError(f"not installed: {lines[-1]}")
