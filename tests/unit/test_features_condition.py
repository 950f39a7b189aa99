"""Conditions: the language, its answers against Python's own, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesmith.errors import InputError, UnknownNameError
from edgesmith.features.condition import COMPARISONS_MAX, Condition

NAMES = ("imbalance_ema", "spread", "rsi")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("imbalance_ema>0.60 and not (spread > .2 or rsi<30)", "imbalance_ema > 0.6 and not (spread > 0.2 or rsi < 30)"),
        ("0.1 < spread <= 2e-1", "spread > 0.1 and spread <= 0.2"),
        ("not spread > -1.0", "not (spread > -1)"),
        ("(spread < 1)", "spread < 1"),
        ("spread > 1 or rsi > 2 and rsi != 3", "spread > 1 or (rsi > 2 and rsi != 3)"),
        ("3 == rsi", "rsi == 3"),
        ("spread < rsi", "spread < rsi"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    condition = Condition.parse(text, NAMES)
    assert str(condition) == canonical
    assert Condition.parse(canonical, NAMES) == condition


def test_features_are_listed_in_order_of_use() -> None:
    assert Condition.parse("rsi > 30 and spread < 1 and rsi < 70", NAMES).features == ("rsi", "spread")


def test_nan_in_a_used_feature_never_satisfies() -> None:
    rows = np.array([[math.nan, 1.0, 50.0], [0.5, math.nan, 50.0], [0.5, 1.0, math.nan]])
    for text in ("imbalance_ema > 0", "not (imbalance_ema > 0)", "imbalance_ema != 0", "imbalance_ema > 0 or imbalance_ema <= 0"):
        assert Condition.parse(text, NAMES).evaluate(rows)[0] == False  # noqa: E712
    # Though the other side of `or` holds: the condition names a feature that is not known.
    assert not Condition.parse("imbalance_ema > 0 or spread == 1", NAMES).holds(rows[0])
    assert Condition.parse("spread == 1", NAMES).evaluate(rows).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "condition was empty"),
        ("spread", "'spread' at character 1 stands alone"),
        ("rsi > 3 and spread", "'spread' at character 13 stands alone"),
        ("1 < 2", "compares two numbers"),
        ("spread + 1 > 2", "'spread + 1' at character 1 is neither a feature name nor a number"),
        ("spread > True", "'True' at character 10 is neither"),
        ("spread > 'a'", "is neither"),
        ("spread > 1j", "is neither"),
        ("abs(spread) > 1", "'abs(spread)'"),
        ("spread is 3", "uses a comparison that is not possible"),
        ("spread in (1, 2)", "uses a comparison that is not possible"),
        ("spread >", "could not be read"),
        ("spread = 1", "could not be read at character"),
        ("spread > 1; rsi", "could not be read at character 11"),
        ("spread > 1e999", "'1e999' at character 10 is too large"),
        ("spread > 1 if rsi > 1 else rsi < 1", "is not possible here"),
        ("(" * 1_990 + "spread", "could not be read"),
        ("spread > 1" + " " * 2_000 + "or rsi > 1", "characters long"),
        (" and ".join(["rsi > 1"] * (COMPARISONS_MAX + 1)), "more than 60 comparisons"),
    ],
)
def test_refusals_teach(text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        Condition.parse(text, NAMES)
    assert message in str(refused.value)


def test_unknown_feature() -> None:
    with pytest.raises(UnknownNameError, match="unknown feature in condition 'sprad'; possible: imbalance_ema, rsi, spread"):
        Condition.parse("sprad > 1", NAMES)


NUMBER = st.sampled_from(["0", "1", "-1", "0.5", "1e-3", "2"])
COMPARISON = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(NAMES), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBER),
    st.builds("{} < {} <= {}".format, NUMBER, st.sampled_from(NAMES), st.sampled_from(NAMES)),
)
TEXT = st.recursive(
    COMPARISON,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(TEXT, st.lists(st.tuples(*[st.sampled_from([-1.0, 0.0, 1e-3, 0.5, 1.0, 3.0, math.nan])] * 3), min_size=1, max_size=8))
def test_answers_are_those_of_python(text: str, rows: list[tuple[float, float, float]]) -> None:
    condition = Condition.parse(text, NAMES)
    matrix = np.array(rows)
    wanted = []
    for row in rows:
        values = dict(zip(NAMES, row, strict=True))
        known = not any(math.isnan(values[name]) for name in condition.features)
        wanted.append(known and bool(eval(text, {}, values)))
    assert condition.evaluate(matrix).tolist() == wanted
    assert [condition.holds(row) for row in matrix] == wanted
    again = Condition.parse(str(condition), NAMES)
    assert again == condition
    assert again.evaluate(matrix).tolist() == wanted
