"""The command line: parse, compose, call. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; the process exits with the code of what happened."""
    from edgesmith.cli.app import run

    sys.exit(run(sys.argv[1:]))
