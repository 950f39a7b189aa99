"""`edgesmith report` and `edgesmith runs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgesmith.cli.output import number, percent, print_json, print_table
from edgesmith.cli.selection import DEFAULT_LAKE, DEFAULT_RUNS, JsonOption, LakeOption, RunsOption
from edgesmith.errors import InputError, UnknownNameError

RUN_LIMIT = 100_000


def report_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run id, a unique beginning of one, or a run folder.")],
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
) -> None:
    """Write the HTML report of a run again and print its path."""
    from edgesmith.trading.report import write_report

    folder = find_run(run, runs)
    typer.echo(str(write_report(folder, truth=_truth(folder, lake))))


def runs_command(runs: RunsOption = DEFAULT_RUNS, as_json: JsonOption = False) -> None:
    """List the runs there are."""
    found = [_manifest(folder) for folder in run_folders(runs)]
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo(f"no runs in {runs}; make one with `edgesmith backtest` or `edgesmith demo`")
        return
    rows = [
        (
            one["run_id"].removeprefix("run_"),
            " ".join(filter(None, (one["kind"], one.get("strategy", {}).get("name")))),
            ", ".join(sorted({part.split("/")[2] for part in one["data"]["partitions"]})),
            f"{one['data']['events']:,}",
            number(one["metrics"]["pnl_net"]) if "metrics" in one else "-",
            percent(one["metrics"]["drawdown_ratio_max"]) if "metrics" in one else "-",
        )
        for one in found
    ]
    columns = ("run", "what", "symbols", "events", "PnL net", "drawdown")
    print_table(f"{len(rows)} runs in {runs}", columns, rows, right=columns[3:], whole=("run",))


def run_folders(runs: Path) -> list[Path]:
    """Return the folders of finished runs, by name."""
    return sorted(folder.parent for folder in runs.glob("*/manifest.json") if not folder.parent.name.startswith("."))[:RUN_LIMIT]


def find_run(name: str, runs: Path) -> Path:
    """Return the folder of a run."""
    if (Path(name) / "manifest.json").is_file():
        return Path(name)
    found = [folder for folder in run_folders(runs) if folder.name == name or folder.name.removeprefix("run_").startswith(name)]
    found = found or [folder for folder in run_folders(runs) if folder.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"run '{name}' could be {', '.join(folder.name for folder in found)}; give more of its id")
    raise UnknownNameError("run", name, [folder.name for folder in run_folders(runs)])


def _manifest(folder: Path) -> dict[str, Any]:
    import msgspec

    from edgesmith.errors import CorruptDataError

    try:
        manifest: dict[str, Any] = msgspec.json.decode((folder / "manifest.json").read_bytes())
    except msgspec.DecodeError as error:
        raise CorruptDataError(f"{folder}/manifest.json is not a manifest ({error}); delete the folder and run again") from None
    return manifest


def _truth(folder: Path, lake: Path) -> dict[str, Any] | None:
    from edgesmith.lake.catalog import Catalog

    manifest = _manifest(folder)
    if not manifest["data"]["simulated"]:
        return None
    wanted = set(manifest["data"]["partitions"])
    chosen = (one for one in Catalog(lake).partitions("simulated") if str(one.key) in wanted)
    return next((one.meta.truth for one in chosen if one.meta.truth), None)
