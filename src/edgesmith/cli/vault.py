"""`edgesmith vault`: init, peek, open, ls, close."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli.edges import open_registry
from edgesmith.cli.output import Advance, number, print_json, print_table, progress
from edgesmith.cli.selection import DEFAULT_LAKE, DEFAULT_RUNS, JsonOption, LakeOption, RegistryOption, RunsOption
from edgesmith.domain.units import format_ns
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from edgesmith.edges.frozen_evaluator import FrozenEvaluator
    from edgesmith.edges.vault import Vault
    from edgesmith.edges.vault_records import OpeningResult, Peek, Seal, VaultState

app = typer.Typer(no_args_is_help=True)

EdgeArgument = Annotated[str, typer.Argument(metavar="EDGE", help="Id of an edge, or a unique beginning of one.")]
RegimesOption = Annotated[Path | None, typer.Option("--regimes", metavar="MODEL", help="The regime model the search used.")]


@app.command("init")
def init_command(
    days: Annotated[int, typer.Option("--days", help="How many of the last UTC days of the lake to put away.")],
    peek_days: Annotated[int, typer.Option("--peek-days", help="The first so many of them are for `vault peek` only.")] = 0,
    venue: Annotated[str | None, typer.Option("--venue", help="Only this venue, such as binance_usdm.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Put the last days of the lake where no reader sees them; days that were searched already are refused."""
    record = _vault(lake, runs).init(days, peek_days=peek_days, venue=venue, symbol=symbol)
    if as_json:
        print_json(record)
        return
    names = ", ".join(f"{one.venue} {one.symbol}" for one in record.series)
    typer.echo(f"generation {record.generation}: {record.first_day} to {record.last_day} of {names} are in the vault")
    if peek_days:
        typer.echo(f"the days before {record.opening_day} are for `edgesmith vault peek`, the others for `edgesmith vault open`")


@app.command("open")
def open_command(
    edge: EdgeArgument,
    n_min: Annotated[int, typer.Option("--n-min", min=1, help="Fewer trades than this and the answer is INSUFFICIENT.")] = 200,
    regimes: RegimesOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the vault about one edge, once and for all: seal the question, read the days, record the answer."""
    store, vault = open_registry(registry, runs), _vault(lake, runs)
    spec = store.get(edge)
    with progress("opening the vault", "events") as advance:
        opened = vault.open(spec, _evaluator(regimes, advance), n_min=n_min)
    store.record([(spec, opened.evidence(vault.fingerprint(opened.seal.generation)))])
    if as_json:
        print_json({"seal": opened.seal, "result": opened.result, "again": opened.again})
        return
    if opened.again:
        typer.echo("this edge was opened before; the vault answers once, and this is the answer:")
    print_table(spec.edge_id, ("what", "value"), _opening_rows(opened.seal, opened.result))
    typer.echo(f"{opened.result.verdict.value}: {opened.result.sentence}")
    state = vault.state()
    if not opened.again and state.current is None:
        typer.echo(
            f"generation {opened.seal.generation} is closed ({state.closed[-1].reason}): its days are in the lake, as training "
            "data, and a new one must begin after them (`edgesmith vault init --days N`)"
        )


@app.command("peek")
def peek_command(
    edge: EdgeArgument,
    regimes: RegimesOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Get a noisy answer about an edge from the days put away for that; it is no evidence, and the budget for it is small."""
    from edgesmith.edges.thresholdout import BUDGET

    vault = _vault(lake, runs)
    spec = open_registry(registry, runs).get(edge)
    with progress("peeking", "events") as advance:
        record, again = vault.peek(spec, _evaluator(regimes, advance))
    if as_json:
        print_json({"peek": record, "again": again, "noisy": True})
        return
    if again:
        typer.echo("this edge was asked about before; the same edge gets the same answer, and it costs nothing:")
    print_table(spec.edge_id, ("what", "value"), _peek_rows(record))
    typer.echo(f"noisy: {_peek_sentence(record)}")
    typer.echo(f"the vault may disagree {record.budget_left} more times of {BUDGET} in this generation")


@app.command("ls")
def ls_command(lake: LakeOption = DEFAULT_LAKE, runs: RunsOption = DEFAULT_RUNS, as_json: JsonOption = False) -> None:
    """Check the vault's ledger and list generations and openings."""
    from edgesmith.edges.vault_records import OPENINGS_MAX, opening_alpha

    if not lake.is_dir():
        raise InputError(f"there is no lake at {lake}; name yours with --lake")
    vault = _vault(lake, runs)
    state, head = vault.state(), vault.head()
    if as_json:
        results = [state.results[place] for place in sorted(state.results)]
        parts = {"generations": state.generations, "seals": state.seals, "results": results, "closed": state.closed}
        print_json({**parts, "peeks": state.peeks, "head": head})
        return
    if head is None:
        typer.echo(f"the lake at {lake} has no vault; put its last days away with `edgesmith vault init --days N`")
        return
    _show_generations(state)
    rows = [
        (one.generation, one.opening, one.edge_id, f"{one.alpha:.5f}", *_answer(state, one), format_ns(one.at_ns)[:16])
        for one in state.seals
    ]
    if rows:
        columns = ("gen.", "#", "edge", "level", "p", "net bps", "answer", "sealed (UTC)")
        print_table("openings", columns, rows, right=("gen.", "#", "level", "p", "net bps"), whole=("edge", "answer"))
    _show_peeks(state)
    current = state.current
    if current is not None:
        opening = state.openings(current.generation) + 1
        if opening <= OPENINGS_MAX:
            typer.echo(f"the next opening is {opening} of {OPENINGS_MAX}, at level {opening_alpha(opening):.5f}")
        if current.peek_days:
            typer.echo(f"peeks: the vault may disagree {state.budget_left(current.generation)} more times")
    typer.echo(f"{head.sequence + 1:,} records, all hashes right; the last is {head.record_hash}")


@app.command("close")
def close_command(
    reason: Annotated[str, typer.Option("--reason", help="Why; it stays in the ledger.")],
    abandon: Annotated[bool, typer.Option("--abandon", help="Give up openings that have no result; they stay spent.")] = False,
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """End the generation: its days go back into the lake as training data; the next one must begin after them."""
    record = _vault(lake, runs).close(reason, abandon=abandon)
    if as_json:
        print_json(record)
        return
    typer.echo(
        f"generation {record.generation} is closed; its days are in the lake again, as training data: the next generation must "
        "begin after them (`edgesmith vault init --days N`)"
    )


def _vault(lake: Path, runs: Path) -> Vault:
    from edgesmith.clock import SystemClock
    from edgesmith.edges.trials import LEDGER_NAME, TrialLedger
    from edgesmith.edges.vault import Vault

    return Vault(lake, TrialLedger(runs / LEDGER_NAME), SystemClock())


def _evaluator(regimes: Path | None, advance: Advance) -> FrozenEvaluator:
    from edgesmith.edges.frozen_evaluator import FrozenEvaluator
    from edgesmith.features.regime_model import load_model

    return FrozenEvaluator(None if regimes is None else load_model(regimes), progress=advance)


def _show_generations(state: VaultState) -> None:
    ended = {one.generation: one.reason for one in state.closed}
    rows = [
        (
            one.generation,
            f"{one.first_day}..{one.last_day}",
            ", ".join(sorted({series.symbol for series in one.series})),
            one.peek_days,
            state.openings(one.generation),
            len(state.peeks_of(one.generation)),
            f"closed: {ended[one.generation]}" if one.generation in ended else "in the vault",
        )
        for one in state.generations
    ]
    columns = ("gen.", "days (UTC)", "symbols", "to peek", "openings", "peeks", "state")
    print_table("generations", columns, rows, right=("gen.", "to peek", "openings", "peeks"), whole=("days (UTC)",))


def _show_peeks(state: VaultState) -> None:
    rows = [
        (
            one.generation,
            one.peek,
            one.edge_id,
            number(one.outside_bps),
            number(one.answer_bps),
            number(one.threshold_bps),
            "agrees" if one.agrees else "disagrees",
            format_ns(one.at_ns)[:16],
        )
        for one in state.peeks
    ]
    if rows:
        columns = ("gen.", "#", "edge", "outside", "noisy", "T", "the vault", "asked (UTC)")
        right = ("gen.", "#", "outside", "noisy", "T")
        print_table("peeks, net bps per expected trade", columns, rows, right=right, whole=("edge", "the vault"))


def _answer(state: VaultState, seal: Seal) -> tuple[str, str, str]:
    result = state.results.get(seal.sequence)
    if result is None:
        return "-", "-", "not finished"
    return number(result.evaluation.p, 4), number(result.evaluation.net_bps), result.verdict.value


def _peek_rows(record: Peek) -> list[tuple[str, object]]:
    return [
        ("claim", record.spec.sentence),
        ("outside the vault", f"{number(record.outside_bps)} bps net per trade, {record.trades_outside:,} trades"),
        ("noisy answer", f"{number(record.answer_bps)} bps net per expected trade"),
        ("threshold, noise", f"{number(record.threshold_bps)} bps, Laplace of {number(record.noise_bps)} bps"),
        ("blocks", f"{record.blocks_outside:,} outside, {record.blocks:,} in the days for peeks"),
        ("worst case, 95 %", f"within {number(record.worst_case_bps)} bps, whoever asks whatever"),
    ]


def _peek_sentence(record: Peek) -> str:
    if record.agrees:
        return (
            f"the vault does not contradict {number(record.outside_bps)} bps; it would hardly notice less than "
            f"{number(record.threshold_bps)} bps either way"
        )
    return f"the vault contradicts {number(record.outside_bps)} bps; it says {number(record.answer_bps)} bps"


def _opening_rows(seal: Seal, result: OpeningResult) -> list[tuple[str, object]]:
    found = result.evaluation
    return [
        ("hypothesis", seal.hypothesis),
        ("opening", f"{seal.opening} of generation {seal.generation}, sealed {format_ns(seal.at_ns)[:19]}"),
        ("cells looked at before", f"{seal.trials_total:,}"),
        ("measured by", seal.evaluator + ("" if seal.regimes_sha256 is None else f", regime model {seal.regimes_sha256[:12]}")),
        ("trades, blocks", f"{found.n:,} (at least {seal.n_min:,} were sealed), {found.blocks:,}"),
        ("gross - cost = net", f"{number(found.gross_bps)} - {number(found.cost_bps)} = {number(found.net_bps)} bps"),
        ("net, 90 %", f"{number(found.net_low_bps)} to {number(found.net_high_bps)} bps"),
        ("p, sealed level", f"{number(found.p, 4)}, {seal.alpha:.5f}"),
    ]
