from __future__ import annotations

import math
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders_edges import evidence, spec
from edgesmith.canonical import canonical_json
from edgesmith.edges.edge import Bound, EdgeEvidence, EdgeSpec, Exit, Trigger
from edgesmith.errors import InputError

A = Bound(feature="a(window=3)", low=1, high=2)
B = Bound(feature="b()", high=-0.0)


def test_an_edge_is_named_by_its_content() -> None:
    one = spec(trigger=Trigger(bounds=(A, B)))
    same = spec(trigger=Trigger(bounds=(B, Bound(feature="a(window=3)", low=1.0, high=2.0))), fee_in_bps=5)
    assert re.fullmatch(r"edge_[0-9a-f]{12}", one.edge_id)
    assert one == same and one.edge_id == same.edge_id
    # The text of a name is a promise: a registry written today must be readable tomorrow.
    assert spec().edge_id == "edge_aa0675a3ab84"


@pytest.mark.parametrize(
    "change",
    [
        {"side": -1},
        {"latency_ns": 1},
        {"entry": "maker_touch"},
        {"exit": Exit(kind="trigger_off")},
        {"exit": Exit(kind="stop", stop_volatility_units=2)},
        {"fee_out_bps": 4.0},
        {"code_sha256": "other"},
        {"trigger": Trigger(bounds=(A,), leader="BUSDT")},
        {"trigger": Trigger(bounds=(A,), regimes=(1,)), "regimes_hash": "r"},
    ],
)
def test_every_part_counts(change: dict[str, Any]) -> None:
    assert spec(**change).edge_id != spec().edge_id


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(-1e9, 0), st.floats(1e-6, 1e9)),
        min_size=1,
        max_size=3,
        unique_by=lambda x: x[0],
    ),
    st.permutations([3, 1, 2]),
)
def test_the_order_of_writing_does_not_matter(bounds: list[tuple[str, float, float]], regimes: list[int]) -> None:
    made = [Bound(feature=name, low=low, high=high) for name, low, high in bounds]
    one = Trigger(bounds=tuple(made), regimes=tuple(regimes))
    assert one == Trigger(bounds=tuple(reversed(made)), regimes=(1, 2, 2, 3))
    assert msgspec.json.decode(canonical_json(one), type=Trigger) == one


def test_json_gives_the_same_edge_back() -> None:
    assert msgspec.json.decode(canonical_json(spec()), type=EdgeSpec) == spec()
    one = evidence(details={"half_life_response_ns": 3, "by_day": [1.5, None]})
    again = msgspec.json.decode(canonical_json(one), type=EdgeEvidence)
    assert again == one and again.evidence_hash == one.evidence_hash


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Trigger(bounds=()), "1 to 3"),
        (lambda: Trigger(bounds=(A, A)), "twice"),
        (lambda: Trigger(bounds=(A,), regimes=()), "regimes"),
        (lambda: Bound(feature="a", low=2, high=2), "empty"),
        (lambda: Bound(feature="a", low=math.nan), "finite"),
        (lambda: Bound(feature="a", low=0.0, missing=True), "missing"),
        (lambda: Bound(feature=" "), "feature"),
        (lambda: Exit(kind="stop"), "stop"),
        (lambda: Exit(kind="time", stop_volatility_units=1.0), "stop"),
        (lambda: spec(side=0), "side"),
        (lambda: spec(horizon_ns=0), "horizon_ns"),
        (lambda: spec(fee_in_bps=math.inf), "fee_in_bps"),
        (lambda: spec(trigger=Trigger(bounds=(A,), regimes=(1,))), "regimes_hash"),
        (lambda: evidence(first_ns=2, last_ns=1), "before it began"),
        (lambda: evidence(p=math.nan), "finite"),
        (lambda: evidence(stage="vallidation"), "possible: discovery, validation, vault"),
        (lambda: evidence(trials_total=-1), "trials_total"),
    ],
)
def test_nonsense_is_refused(make: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make()


def test_it_says_what_to_do() -> None:
    stop = Exit(kind="stop", stop_volatility_units=2.5)
    trigger = Trigger(bounds=(A, Bound(feature="c()", missing=True)), regimes=(0, 2), leader="BUSDT")
    text = spec(side=-1, trigger=trigger, exit=stop, regimes_hash="r").sentence
    assert text == (
        "sell simulated:AUSDT 50 ms after 1 <= a(window=3) < 2 and c() is missing of BUSDT in regime 0 or 2, "
        "taking, and hold for 5 s or to a stop of 2.5 volatility units"
    )
