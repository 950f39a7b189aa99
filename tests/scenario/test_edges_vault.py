"""The vault from putting days away to the end of a generation, with everything that may go wrong in between."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import put
from builders_edges import spec
from builders_kill import killed_after
from builders_vault import Canned, days, edge, five_days, some_quotes, vault_of
from edgesmith.canonical import canonical_json, content_hash
from edgesmith.domain.events import Stream
from edgesmith.edges.edge import Bound, Trigger
from edgesmith.edges.frozen_evaluator import FrozenEvaluator
from edgesmith.edges.thresholdout import BUDGET
from edgesmith.edges.trials import TrialLedger, data_uses
from edgesmith.edges.twins import jaccard
from edgesmith.edges.vault import NOISE_KEY_NAME, judged
from edgesmith.edges.vault_records import OPENINGS_MAX, Evaluation, opening_alpha
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import CorruptDataError, DataError, InputError
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.held import HELD_NAME, Held
from edgesmith.lake.schema import PartitionKey
from edgesmith.lake.stream_write import PartitionsWriter
from edgesmith.lake.vaulted import move_in

LEDGER = "vault/ledger.jsonl"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return five_days(tmp_path_factory.mktemp("template"))


@pytest.fixture
def lake(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "lake"))


def copy_back(lake: Path) -> None:
    """Put the vaulted files back by hand, as someone who wants to peek would."""
    for folder in (lake / "vault").rglob("date=*"):
        shutil.copytree(folder, lake / folder.relative_to(lake / "vault/generation=1"))
    for sealed in lake.glob("exchange=*/**/sealed.json"):
        sealed.rename(sealed.with_name("meta.json"))


def test_vaulted_days_are_gone_for_every_reader(lake: Path) -> None:
    before = days(lake)
    computed = lake / "features/recipe=1/exchange=binance_usdm/symbol=btcusdt"
    for day in Catalog(lake).days("binance_usdm", "bbo", "BTCUSDT"):
        (computed / f"date={day:%Y%m%d}").mkdir(parents=True)
    generation = vault_of(lake).init(2)
    assert days(lake) == days(lake, "ETHUSDT") == before[:3]
    assert generation.series[0].last_day.day == before[-1] and {one.symbol for one in generation.series} == {"BTCUSDT", "ETHUSDT"}
    # What was computed from the days is gone too, and a catalog pointed into the vault sees nothing.
    assert len(list(computed.iterdir())) == 3
    assert Catalog(lake / "vault/generation=1").partitions() == [] == Catalog(lake / "vault").partitions()
    with pytest.raises(InputError, match=r"\(2024-08-11\.\.2024-08-12 are in the vault\)"):
        Catalog(lake).require("binance_usdm", "bbo", "BTCUSDT", generation.first_day)
    copy_back(lake)
    assert days(lake) == before[:3]


def test_nothing_is_written_into_vaulted_days(lake: Path) -> None:
    generation = vault_of(lake).init(2)
    keys = [PartitionKey("binance_usdm", Stream.BBO, "BTCUSDT", generation.last_day)]
    with pytest.raises(DataError, match=r"in the vault \(generation 1\)"):
        put(lake, Stream.BBO, some_quotes(generation.last_day), day=generation.last_day)
    with pytest.raises(DataError, match="in the vault"):
        PartitionsWriter(lake, keys)
    assert put(lake, Stream.BBO, some_quotes(date(2030, 1, 1)), day=date(2030, 1, 1)).changed


def test_an_opening_seals_reads_and_answers_once(lake: Path) -> None:
    vault, evaluator = vault_of(lake), Canned(p=0.001)
    generation = vault.init(2)
    opened = vault.open(edge(), evaluator)
    assert opened.seal.alpha == pytest.approx(0.05 * 6 / np.pi**2) and opened.seal.spec == edge() and not opened.again
    assert opened.seal.hypothesis.startswith("the mean net profit per trade is above zero: buy binance_usdm:BTCUSDT 50 ms after")
    assert opened.result.verdict == Verdict.VALIDATED
    assert sorted({one.key.day for one in evaluator.shown[0]}) == [generation.first_day, generation.last_day]
    assert {one.key.symbol for one in evaluator.shown[0]} == {"BTCUSDT"}
    again = vault.open(edge(), evaluator)
    assert again.again and again.result == opened.result and len(evaluator.shown) == 1
    evidence = opened.evidence(vault.fingerprint(1))
    assert (evidence.stage, evidence.verdict, evidence.details["seal_hash"]) == ("vault", "VALIDATED", opened.seal.record_hash)
    assert days(lake) == days(lake, "ETHUSDT") and len(days(lake)) == 3


def test_levels_fall_and_together_never_exceed_the_alpha(lake: Path) -> None:
    vault = vault_of(lake)
    vault.init(1)
    levels = [vault.open(edge(number), Canned()).seal.alpha for number in range(3)]
    assert levels == [opening_alpha(j) for j in (1, 2, 3)] == pytest.approx([0.0304, 0.0076, 0.00338], rel=1e-2)
    assert sum(opening_alpha(j) for j in range(1, 100_000)) < 0.05
    assert opening_alpha(OPENINGS_MAX) >= 1e-4 > opening_alpha(OPENINGS_MAX + 1)


def test_near_twins_count_as_the_same_edge(lake: Path) -> None:
    vault = vault_of(lake)
    vault.init(1)
    vault.open(edge(), Canned())
    near = spec(venue="binance_usdm", symbol="BTCUSDT", trigger=Trigger(bounds=(Bound(feature="x()", low=0.51),)))
    for twin in (near, edge(side=-1), edge(grid_ns=1_000_000_000), edge(horizon_ns=10_000_000_000)):
        with pytest.raises(InputError, match="the vault answers once for both"):
            vault.open(twin, Canned())
    far = spec(venue="binance_usdm", symbol="BTCUSDT", trigger=Trigger(bounds=(Bound(feature="x()", low=0.52),)))
    other = spec(venue="binance_usdm", symbol="ETHUSDT", trigger=edge().trigger)
    assert [vault.open(one, Canned()).seal.opening for one in (far, other)] == [2, 3]
    with pytest.raises(InputError, match="holds no data of binance_usdm:XRPUSDT"):
        vault.open(spec(venue="binance_usdm", symbol="XRPUSDT"), Canned())
    assert jaccard(np.arange(10), np.arange(1, 11)) == pytest.approx(9 / 11) and jaccard(np.arange(0), np.arange(0)) == 0.0


@pytest.mark.parametrize(
    ("n", "p", "p_gross", "expected"),
    [
        (199, 1e-4, 1e-4, Verdict.INSUFFICIENT),
        (200, 0.01, 0.01, Verdict.VALIDATED),
        (200, 0.011, 0.001, Verdict.REJECT_COST),
        (200, 0.011, 0.5, Verdict.REJECT_NULL),
        (200, None, None, Verdict.INSUFFICIENT),
    ],
)
def test_the_verdict_is_that_of_the_sealed_level(n: int, p: float | None, p_gross: float | None, expected: Verdict) -> None:
    numbers: dict[str, Any] = {"gross_bps": 3.0, "cost_bps": 1.0, "net_bps": 2.0, "net_low_bps": 1.0, "net_high_bps": 3.0}
    found = Evaluation(first_ns=0, last_ns=1, n=n, blocks=30, p=p, p_gross=p_gross, **numbers)
    assert judged(found, 0.01, 200)[0] == expected


def test_a_spent_generation_closes_and_the_next_begins_later(lake: Path) -> None:
    vault, before = vault_of(lake), days(lake)
    vault.init(2)
    for number in range(OPENINGS_MAX):
        assert len(days(lake)) == 3
        vault.open(edge(number), Canned())
    state = vault.state()
    assert state.current is None and state.closed[0].reason == f"all {OPENINGS_MAX} openings are spent"
    assert days(lake) == before and not (lake / "vault/generation=1").exists()
    with pytest.raises(InputError, match="no generation of the vault is open"):
        vault.open(edge(99), Canned())
    assert vault.open(edge(0), Canned()).again
    with pytest.raises(InputError, match="import later days or take fewer"):
        vault.init(1)
    put(lake, Stream.BBO, some_quotes(date(2030, 1, 1)), day=date(2030, 1, 1))
    assert vault.init(1).generation == 2
    # A new generation starts its levels anew, but an edge that had its look has had it.
    assert vault.open(edge(99), Canned()).seal.alpha == opening_alpha(1) and vault.open(edge(0), Canned()).again


def test_trap_15_days_that_were_searched_are_not_unseen(lake: Path) -> None:
    vault = vault_of(lake)
    trials = TrialLedger(lake.parent / "trials.jsonl")
    everything = Catalog(lake).partitions()
    last = max(one.key.day for one in everything)
    seen = data_uses([one for one in everything if one.key.day < last])
    trials.record(kind="discovery", data_fingerprint="f", cells_hash="c", trials=480, data=seen)
    with pytest.raises(InputError, match="no longer unseen"):
        vault.init(2)
    assert len(days(lake)) == 5
    vault.init(1)
    opened = vault.open(edge(), Canned())
    head = trials.head()
    assert opened.seal.trials_total == 480 and head is not None and opened.seal.trials_head == head.record_hash


def test_killed_before_the_seal_nothing_happened(lake: Path) -> None:
    vault = vault_of(lake)
    vault.init(1)
    before = (lake / LEDGER).read_bytes()
    killed_after(0.3, lambda: vault.open(edge(), Canned(sleep_in="check")) and None)
    assert (lake / LEDGER).read_bytes() == before
    assert vault.open(edge(), Canned()).seal.opening == 1


def test_killed_after_the_seal_the_opening_is_spent_and_can_be_finished(lake: Path) -> None:
    vault = vault_of(lake)
    vault.init(1)
    killed_after(0.5, lambda: vault.open(edge(), Canned(sleep_in="evaluate")) and None)
    state = vault.state()
    assert state.openings(1) == 1 and state.results == {}
    with pytest.raises(InputError, match="has no result yet"):
        vault.close("enough")
    # Another edge pays for it: it is the second.
    assert vault.open(edge(1), Canned()).seal.opening == 2
    other = Canned()
    other.name = "canned 2"  # type: ignore[misc]
    with pytest.raises(InputError, match="sealed for 'canned 1'"):
        vault.open(edge(), other)
    finished = vault.open(edge(), Canned(p=0.001), n_min=1)
    assert (finished.seal.opening, finished.seal.n_min, finished.seal.alpha) == (1, 200, opening_alpha(1))
    assert vault.state().openings(1) == 2 and len(vault.state().results) == 2
    vault.close("enough")
    assert len(days(lake)) == 5


@pytest.mark.parametrize("steps", ["note only", "note and record", "half moved", "closed but not moved back"])
def test_a_killed_init_or_close_is_finished_by_the_next_command(lake: Path, steps: str) -> None:
    reference = lake.parent / "reference"
    shutil.copytree(lake, reference)
    vault_of(reference).init(2)
    vault = vault_of(lake)
    if steps == "closed but not moved back":
        vault.init(2)
        shutil.copytree(lake, lake.parent / "before")
        vault.close("enough")
        for name in (LEDGER, LEDGER + ".head"):
            shutil.copy(lake / name, lake.parent / "before" / name)
        shutil.rmtree(lake)
        (lake.parent / "before").rename(lake)
        with pytest.raises(InputError, match="no generation"):
            vault.close("again")
        assert len(days(lake)) == 5
        return
    (lake / "vault").mkdir()
    shutil.copy(reference / "vault" / HELD_NAME, lake / "vault")
    if steps == "note only":
        assert len(days(lake)) == 3
        assert vault.init(2).generation == 1
        return
    for name in (LEDGER, LEDGER + ".head"):
        shutil.copy(reference / name, lake / name)
    if steps == "half moved":
        moved = sorted((lake / "exchange=binance_usdm/stream=bbo/symbol=btcusdt").iterdir())[-1]
        (moved / "meta.json").rename(moved / "sealed.json")
    assert len(days(lake)) == 3
    assert vault.open(edge(), Canned()).result.verdict == Verdict.REJECT_COST
    assert not list((lake / "exchange=binance_usdm/stream=bbo/symbol=btcusdt").glob("*/sealed.json"))


def test_killed_while_the_days_move_no_reader_ever_sees_them(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def move_one_and_hang(root: Path, held: Held, keys: Sequence[PartitionKey]) -> None:
        move_in(root, held, keys[:1])
        time.sleep(60)

    with monkeypatch.context() as patched:
        patched.setattr("edgesmith.edges.vault.move_in", move_one_and_hang)
        killed_after(0.5, lambda: vault_of(lake).init(2) and None)
    assert len(days(lake)) == len(days(lake, "ETHUSDT")) == 3
    assert len(list(lake.glob("exchange=*/stream=*/symbol=*/date=*"))) == 9
    assert vault_of(lake).open(edge(), Canned()).seal.opening == 1
    assert len(list(lake.glob("exchange=*/stream=*/symbol=*/date=*"))) == 6


def rewritten(lake: Path, change: Any) -> None:
    """Write the vault's ledger anew with every hash in order: what only the rules can find."""
    path, previous, lines = lake / LEDGER, "0" * 64, []
    bodies = [json.loads(line) for line in path.read_bytes().splitlines()]
    for number, body in enumerate(change(bodies)):
        plain = {name: value for name, value in body.items() if name != "record_hash"} | {
            "sequence": number,
            "previous": previous,
        }
        previous = content_hash(plain)
        lines.append(canonical_json({**plain, "record_hash": previous}) + b"\n")
    path.write_bytes(b"".join(lines))
    (lake / (LEDGER + ".head")).write_bytes(canonical_json({"sequence": len(lines) - 1, "record_hash": previous}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda bodies: [*bodies[:2], bodies[2] | {"at_ns": 1}, *bodies[3:]], "before the one above it"),
        (lambda bodies: [bodies[0], bodies[3], bodies[4]], "expected 1 at 0.0303"),
        (lambda bodies: [*bodies[:3], bodies[3] | {"alpha": 0.05}, bodies[4]], "at alpha 0.05"),
        (lambda bodies: [*bodies[:3], bodies[3] | {"spec": bodies[1]["spec"]}, bodies[4]], "with the spec of"),
        (lambda bodies: [*bodies[:5], bodies[4]], "has one already"),
        (lambda bodies: [*bodies, bodies[1] | {"opening": 3, "alpha": opening_alpha(3)}], "a second time"),
        (lambda bodies: [*bodies, bodies[0] | {"generation": 2}], "while another is open"),
        (lambda bodies: bodies[:1] + bodies[2:3], "is no seal"),
        (lambda bodies: [*bodies[:5], bodies[5] | {"budget_left": BUDGET}], "leaves 20 of the budget, expected 19"),
        (lambda bodies: [*bodies, bodies[5] | {"budget_left": BUDGET - 2, "peek": 2}], "peeks at .* a second time"),
        (lambda bodies: [*bodies[:5], bodies[5] | {"peek": 2}], "is peek 2"),
        (lambda bodies: [*bodies[:5], bodies[5] | {"agrees": True, "budget_left": BUDGET}], "and answers"),
        (lambda bodies: [bodies[0] | {"peek_days": 0}, *bodies[1:]], "has no days for that"),
    ],
)
def test_a_ledger_forged_with_care_breaks_a_rule(lake: Path, change: Any, said: str) -> None:
    vault = vault_of(lake)
    vault.init(2, peek_days=1)
    vault.open(edge(0), Canned())
    vault.open(edge(1), Canned())
    vault.peek(edge(3, earns_bps=9.0), Canned())
    rewritten(lake, lambda bodies: bodies)
    assert len(vault.state().results) == 2
    rewritten(lake, change)
    with pytest.raises(CorruptDataError, match=said):
        vault.state()
    with pytest.raises(CorruptDataError, match="tampered"):
        vault.open(edge(2), Canned())


@pytest.mark.parametrize(
    "change",
    ["edit", "cut", "remove", "reorder", "insert", "delete", "delete all", "old copy", "fork", "delete the head", "swap data"],
)
def test_tampering_is_a_hard_error(lake: Path, change: str) -> None:
    vault = vault_of(lake)
    vault.init(1)
    old = [(lake / name).read_bytes() for name in (LEDGER, LEDGER + ".head")]
    vault.open(edge(), Canned())
    path, head = lake / LEDGER, lake / (LEDGER + ".head")
    if change == "edit":
        path.write_bytes(path.read_bytes().replace(b'"p":0.5', b'"p":0.1'))
    elif change == "cut":
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    elif change == "remove":
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(lines[0] + lines[2])
    elif change == "reorder":
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(lines[0] + lines[2] + lines[1])
    elif change == "insert":
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([lines[0], *lines]))
    elif change == "fork":
        # A copy of before the opening went on with another edge, and is put in the place of what happened.
        other = Path(shutil.copytree(lake, lake.parent / "other" / "lake"))
        for name, content in zip((LEDGER, LEDGER + ".head"), old, strict=True):
            (other / name).write_bytes(content)
        vault_of(other).open(edge(5), Canned())
        path.write_bytes((other / LEDGER).read_bytes())
    elif change == "delete the head":
        head.unlink()
    elif change == "delete":
        path.unlink()
    elif change == "delete all":
        path.unlink()
        head.unlink()
    elif change == "old copy":
        path.write_bytes(old[0])
    else:
        data = next((lake / "vault").rglob("symbol=btcusdt/**/data-*.parquet"))
        donor = next(lake.glob("exchange=*/stream=*/symbol=btcusdt/**/data-*.parquet"))
        data.write_bytes(donor.read_bytes())
    with pytest.raises(CorruptDataError, match="estore") as caught:
        vault.open(edge(1), Canned())
    assert "\n" not in str(caught.value)
    if change != "swap data":
        for look in (vault.state, vault.head if change != "delete all" else vault.state):
            with pytest.raises(CorruptDataError):
                look()


def test_a_peek_is_noisy_and_says_the_same_every_time(lake: Path) -> None:
    vault, evaluator = vault_of(lake), Canned(inside_bps=3.0)
    generation = vault.init(3, peek_days=2)
    assert generation.opening_day == generation.first_day + timedelta(days=2)
    honest, _ = vault.peek(edge(earns_bps=3.0), evaluator)
    assert honest.agrees and honest.answer_bps == honest.outside_bps and honest.budget_left == BUDGET
    shown = [{one.key.day for one in some} for some in evaluator.shown]
    assert shown[0].isdisjoint(shown[1]) and shown[1] == {generation.first_day, generation.first_day + timedelta(days=1)}
    wrong, _ = vault.peek(edge(1, earns_bps=5.0), evaluator)
    assert not wrong.agrees and wrong.budget_left == BUDGET - 1
    # Noisy, near what the vault holds, and far from what was claimed.
    assert abs(wrong.answer_bps - 3.0) < 0.5 < abs(wrong.answer_bps - wrong.outside_bps)
    assert wrong.noise_bps > 0.0 and wrong.threshold_bps == pytest.approx(20 * wrong.noise_bps)
    reads = len(evaluator.shown)
    assert vault.peek(edge(1, earns_bps=5.0), evaluator) == (wrong, True) and len(evaluator.shown) == reads
    # Another edge with the same claim draws another noise.
    assert vault.peek(edge(2, earns_bps=5.0), evaluator)[0].answer_bps != wrong.answer_bps
    # An opening sees the other days only, and every peek is in the ledger.
    vault.open(edge(), evaluator)
    assert {one.key.day for one in evaluator.shown[-1]} == {generation.last_day}
    assert [one.edge_id for one in vault.state().peeks] == [honest.edge_id, wrong.edge_id, edge(2, earns_bps=5.0).edge_id]


def test_the_budget_for_peeks_only_falls_when_the_vault_disagrees(lake: Path) -> None:
    vault = vault_of(lake)
    vault.init(2, peek_days=1)
    left = BUDGET
    for number in range(12):
        peek, _ = vault.peek(edge(number, earns_bps=4.0 * (number % 2)), Canned())
        left -= not peek.agrees
        assert peek.budget_left == left == vault.state().budget_left(1)
        # What is 40 standard errors off is always found out; what is true may look off by chance, seldom.
        assert not (number % 2 and peek.agrees)
    assert left >= BUDGET - 8
    for number in range(left):
        assert not vault.peek(edge(100 + number, earns_bps=9.0), Canned())[0].agrees
    reads = Canned()
    with pytest.raises(InputError, match="the budget for peeks at generation 1 is spent: the vault disagreed 20 times"):
        vault.peek(edge(200), reads)
    assert reads.shown == [] and vault.peek(edge(1, earns_bps=4.0), Canned())[1]
    assert vault.open(edge(), Canned()).seal.opening == 1


def test_what_cannot_be_peeked_at_is_explained(lake: Path) -> None:
    vault = vault_of(lake)
    with pytest.raises(InputError, match="expected 0 to 1"):
        vault.init(2, peek_days=2)
    vault.init(1)
    with pytest.raises(InputError, match="no days for peeks"):
        vault.peek(edge(), Canned())
    vault.close("none to peek at")
    put(lake, Stream.BBO, some_quotes(date(2030, 1, 1)), day=date(2030, 1, 1))
    put(lake, Stream.BBO, some_quotes(date(2030, 1, 2)), day=date(2030, 1, 2))
    vault.init(2, peek_days=1)
    with pytest.raises(InputError, match="has 0 trades in 500 blocks outside the vault"):
        vault.peek(edge(), Canned(trades=0))
    key = lake / "vault" / NOISE_KEY_NAME
    assert key.stat().st_mode & 0o077 == 0
    secret = key.read_text()
    key.write_text("0" * 64)
    with pytest.raises(CorruptDataError, match="is not the key that generation 2 began with"):
        vault.peek(edge(), Canned())
    assert vault.open(edge(), Canned()).seal.opening == 1
    key.write_text(secret)
    assert vault.peek(edge(), Canned())[0].peek == 1
    # Shown at the end, so that anyone can draw the noise again.
    assert vault.close("enough").noise_key == secret and not key.exists()


def test_an_opening_nobody_can_finish_is_given_up_and_stays_spent(lake: Path) -> None:
    vault = vault_of(lake)
    vault.init(1)
    killed_after(0.5, lambda: vault.open(edge(), Canned(sleep_in="evaluate", model="a" * 64)) and None)
    with pytest.raises(InputError, match=r"sealed for 'canned 1, regimes a{12}' and this is 'canned 1, regimes b{12}'"):
        vault.open(edge(), Canned(model="b" * 64))
    with pytest.raises(InputError, match="give it up, spent and unanswered, with --abandon"):
        vault.close("enough")
    vault.close("enough", abandon=True)
    assert len(days(lake)) == 5
    with pytest.raises(InputError, match="closed before it was answered; its opening is spent"):
        vault.open(edge(), Canned(model="a" * 64))


def test_a_clock_that_went_back_is_refused(lake: Path) -> None:
    vault_of(lake, 2_000).init(1)
    with pytest.raises(DataError, match="set the clock of this machine right"):
        vault_of(lake, 1_999).open(edge(), Canned())
    assert vault_of(lake, 2_000).open(edge(), Canned()).seal.at_ns == 2_000


def test_a_real_edge_through_the_real_engine(lake: Path) -> None:
    vault = vault_of(lake)
    vault.init(2)
    real = spec(
        venue="binance_usdm",
        symbol="BTCUSDT",
        trigger=Trigger(bounds=(Bound(feature="spread()", low=0.05),)),
        horizon_ns=1_000_000_000,
    )
    opened = vault.open(real, FrozenEvaluator(), n_min=1)
    assert opened.result.evaluation.first_ns >= 0 and opened.result.verdict in Verdict
