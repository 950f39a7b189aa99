"""Canonical JSON and content hashes: the same value gives the same bytes in every process."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="string")


def canonical_json(value: Any) -> bytes:
    """Encode `value` as JSON with sorted keys and no spaces; NaN and infinities become null."""
    return _ENCODER.encode(value)


def content_hash(value: Any) -> str:
    """Return the sha256 hex digest of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def short_hash(value: Any) -> str:
    """Return the first 16 hex digits of `content_hash`, long enough for names and ids."""
    return content_hash(value)[:16]
