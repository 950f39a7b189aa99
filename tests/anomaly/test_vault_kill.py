"""kill -9 at every step of the vault's commands: nothing is asked twice, nothing is seen without a record."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from builders_kill import killed_at, lines_of
from builders_vault import Canned, days, edge, five_days, vault_of
from edgesmith.edges.thresholdout import BUDGET
from edgesmith.edges.vault import NOISE_KEY_NAME, Vault
from edgesmith.edges.vault_records import OPENINGS_MAX, OpeningResult, Seal
from edgesmith.errors import InputError
from edgesmith.lake.held import HELD_NAME

# Where the vault writes, reads and moves; a kill is before any line of these.
FILES = {"vault.py", "chain.py", "vaulted.py", "atomic.py", "peeks.py", "builders_vault.py"}
KILLS = 14


class Telling(Canned):
    """An evaluator that leaves a mark when it is shown vaulted days."""

    def evaluate(self, spec: Any, partitions: Any) -> Any:
        for one in partitions:
            (one.folder.parents[5] / "shown").write_bytes(b"")
        return super().evaluate(spec, partitions)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = five_days(tmp_path_factory.mktemp("template"))
    shutil.rmtree(root / "exchange=binance_usdm/stream=bbo/symbol=ethusdt")
    return root


def every_step(template: Path, tmp_path: Path, before: Callable[[Vault], Any], work: Callable[[Vault], Any]) -> list[Path]:
    """Return lakes in which `work` was killed at steps all over it, each after `before`."""
    first = Path(shutil.copytree(template, tmp_path / "first" / "lake"))
    before(vault_of(first))
    whole = Path(shutil.copytree(first, tmp_path / "whole" / "lake"))
    total = lines_of(lambda: work(vault_of(whole)), FILES)
    assert total > 2 * KILLS
    lakes = []
    for number in range(KILLS):
        lake = Path(shutil.copytree(first, tmp_path / str(number) / "lake"))
        # Evenly over the work, its last line too.
        killed_at(1 + round((total - 1) * number / (KILLS - 1)), lambda lake=lake: work(vault_of(lake)), FILES)
        lakes.append(lake)
    return lakes


def test_an_opening_is_spent_or_never_was(template: Path, tmp_path: Path) -> None:
    states = set()
    for lake in every_step(template, tmp_path, lambda v: v.init(2), lambda v: v.open(edge(), Telling(p=0.001))):
        state = vault_of(lake).state()
        sealed, answered = len(state.seals), len(state.results)
        states.add((sealed, answered))
        shown = (lake / "shown").exists()
        assert shown <= sealed and shown >= answered, "days were read before anything was sealed"
        assert len(days(lake)) == 3
        # Whatever happened: another edge never gets the level of this one, and this one is answered once.
        assert vault_of(lake).open(edge(1), Canned()).seal.opening == sealed + 1
        opened = vault_of(lake).open(edge(), Canned(p=0.001))
        assert opened.again == bool(answered) and opened.seal.opening == (1 if sealed else 2)
        assert vault_of(lake).open(edge(), Canned(p=0.9)).result == opened.result
        records = vault_of(lake)._chain.read()
        assert [sum(isinstance(one, kind) for one in records) for kind in (Seal, OpeningResult)] == [2, 2]
    # Killed before the seal, between seal and result, and after the result.
    assert states == {(0, 0), (1, 0), (1, 1)}


def test_a_peek_is_recorded_or_nobody_learned_anything(template: Path, tmp_path: Path) -> None:
    asked = edge(earns_bps=3.0)
    recorded = set()
    lakes = every_step(template, tmp_path, lambda v: v.init(2, peek_days=1), lambda v: v.peek(asked, Canned()))
    answers = set()
    for lake in lakes:
        known = len(vault_of(lake).state().peeks)
        recorded.add(known)
        peek, again = vault_of(lake).peek(asked, Canned())
        assert again == bool(known)
        answers.add(peek.answer_bps)
        assert vault_of(lake).state().budget_left(1) == BUDGET - 1 and len(vault_of(lake).state().peeks) == 1
    # Asking until the noise is nice does not work: it is the same every time.
    assert recorded == {0, 1} and len(answers) == 1


def test_days_are_in_the_vault_or_in_the_lake(template: Path, tmp_path: Path) -> None:
    for lake in every_step(template, tmp_path, lambda v: None, lambda v: v.init(2)):
        # Either nobody sees the days or nothing happened.
        assert len(days(lake)) in (3, 5)
        with suppress(InputError):
            vault_of(lake).init(2)
        assert vault_of(lake).open(edge(), Canned()).seal.opening == 1
        assert len(days(lake)) == 3 and len(list((lake / "vault/generation=1").rglob("sealed.json"))) == 2


def test_a_close_is_finished(template: Path, tmp_path: Path) -> None:
    for lake in every_step(template, tmp_path, lambda v: v.init(2), lambda v: v.close("enough")):
        with suppress(InputError):
            vault_of(lake).close("enough")
        assert len(vault_of(lake).state().closed) == 1 and len(days(lake)) == 5
        left = {one.name for one in (lake / "vault").iterdir()}
        assert not left & {NOISE_KEY_NAME, HELD_NAME, "generation=1"}


def test_the_last_opening_closes_the_generation_however_it_ends(template: Path, tmp_path: Path) -> None:
    def spend(vault: Vault) -> None:
        vault.init(2)
        for number in range(OPENINGS_MAX - 1):
            vault.open(edge(number), Canned())

    for lake in every_step(template, tmp_path, spend, lambda v: v.open(edge(OPENINGS_MAX), Canned())):
        vault_of(lake).open(edge(OPENINGS_MAX), Canned())
        with pytest.raises(InputError, match="no generation of the vault is open"):
            vault_of(lake).open(edge(99), Canned())
        state = vault_of(lake).state()
        assert len(state.results) == OPENINGS_MAX and len(state.closed) == 1 and len(days(lake)) == 5
