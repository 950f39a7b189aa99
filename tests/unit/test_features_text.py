"""A feature's text is read back as the feature, and anything else is told what was expected."""

from __future__ import annotations

import pytest

from edgesmith.errors import EdgesmithError
from edgesmith.features.catalog import FEATURE_SETS, feature, feature_set
from edgesmith.features.text import parse_feature


@pytest.mark.parametrize("name", sorted(set(FEATURE_SETS) - {"cross"}))
def test_the_text_of_every_feature_is_read_back(name: str) -> None:
    for one in feature_set(name):
        assert str(parse_feature(str(one))) == str(one)


def test_defaults_and_spaces() -> None:
    assert parse_feature(" imbalance_ema ") == parse_feature("imbalance_ema()") == feature("imbalance_ema")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(",
        "rsi(14)",
        "a.b()",
        "rsi(**{'period': 2})",
        "rsi(period=2, period=3)",
        "rsi(period=[1])",
        "rsi(period=1j)",
        "rsi(period=nan)",
    ],
)
def test_what_is_no_feature_is_one_line(text: str) -> None:
    with pytest.raises(EdgesmithError) as found:
        parse_feature(text)
    assert "\n" not in str(found.value)
