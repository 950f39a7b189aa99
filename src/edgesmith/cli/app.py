"""The commands, and the one place errors become lines and exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from edgesmith.cli import (
    analyze,
    backtest,
    compare,
    demo,
    discover,
    edges,
    explain,
    features,
    lake,
    null_report,
    regimes,
    replay,
    report,
    sweep,
    trials,
    tune,
    universe,
    validate,
    vault,
    world_facts,
    worlds,
)
from edgesmith.errors import DataError, EdgesmithError

INTERRUPTED = 130
INTERNAL_ERROR = 1
USAGE_ERROR = 2
STOPPED = "stopped; nothing was left half-written"

app = typer.Typer(
    name="edgesmith",
    help="From crypto tick data to edges that survive their costs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
lake.app.command("replay")(replay.replay_command)
app.add_typer(lake.app, name="lake", help="Import, download, list and verify market data.")
features.app.command("analyze")(analyze.analyze_command)
app.add_typer(features.app, name="features", help="List features, compute feature rows, and say what features are worth.")
worlds.app.command("facts")(world_facts.facts_command)
worlds.app.command("compare")(world_facts.compare_command)
worlds.app.command("fit")(world_facts.fit_command)
app.add_typer(regimes.app, name="regimes", help="Fit market regimes, and log how they come and go.")
app.add_typer(universe.app, name="universe", help="Choose the symbols of each day by the days before it.")
app.add_typer(worlds.app, name="world", help="Make simulated markets whose truth is known.")
app.command("backtest")(backtest.backtest_command)
app.command("sweep")(sweep.sweep_command)
app.command("tune")(tune.tune_command)
app.command("discover")(discover.discover_command)
app.command("validate")(validate.validate_command)
edges.app.command("null-report")(null_report.null_report_command)
app.add_typer(edges.app, name="edges", help="List edges, what is known about them, and what is found where nothing is.")
app.add_typer(vault.app, name="vault", help="Keep the last days of the lake for one sealed question per edge.")
app.command("trials")(trials.trials_command)
app.command("explain")(explain.explain_command)
app.command("compare")(compare.compare_command)
app.command("report")(report.report_command)
app.command("runs")(report.runs_command)
app.command("demo")(demo.demo_command)


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Take the options that come before the command."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    from typer.exceptions import TyperException

    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"]
    try:
        code = typer.main.get_command(app).main(args=words, prog_name="edgesmith", standalone_mode=False)
        if code == INTERRUPTED:
            # What the library makes of Ctrl-C.
            _say(STOPPED)
        return code if isinstance(code, int) else 0
    except EdgesmithError as error:
        if debug:
            traceback.print_exc()
        _say(str(error))
        return error.exit_code
    except typer.Exit as stop:
        return stop.exit_code
    except TyperException as error:
        # Without a message the help was asked for by giving no command, and has been printed.
        if said := _plain(error):
            _say(f"{said}; `edgesmith {' '.join(_command_of(words))} --help` shows what there is".replace("  ", " "))
        return USAGE_ERROR
    except (KeyboardInterrupt, typer.Abort):
        _say(STOPPED)
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except OSError as error:
        if debug:
            traceback.print_exc()
        where = f"{error.filename}: " if error.filename else ""
        _say(f"{where}{error.strerror or error}; check that it is there, that you may write to it and that the disk has room")
        return DataError.exit_code
    except Exception as error:
        if debug:
            traceback.print_exc()
        _say(f"internal error: {type(error).__name__}: {error}; run again with --debug and report what it prints")
        return INTERNAL_ERROR


def _command_of(words: Sequence[str]) -> list[str]:
    # The words before the first option or value: the command that was meant.
    command: Any = typer.main.get_command(app)
    found: list[str] = []
    for word in words:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        found.append(word)
    return found


def _plain(error: Exception) -> str:
    message = getattr(error, "format_message", error.__str__)()
    return str(message).rstrip(".").replace("\n", " ")


def _say(line: str) -> None:
    sys.stderr.write(f"error: {line}\n")
