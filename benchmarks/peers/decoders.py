"""Bare decoders on the same frames: bytes to event time and floats."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.bench_import import market_frames


def prepare_json() -> Callable[[], dict[str, Any]]:
    """Return the standard library's decoder."""
    return _by_key(json.loads)


def prepare_orjson() -> Callable[[], dict[str, Any]]:
    """Return orjson."""
    import orjson

    return _by_key(orjson.loads)


def prepare_msgspec() -> Callable[[], dict[str, Any]]:
    """Return msgspec decoding into two structs, the kind told by their tag."""
    import msgspec

    quote_fields = [(name, int if name == "E" else float) for name in "EbBaA"]
    quote = msgspec.defstruct("quote", quote_fields, tag_field="e", tag="bookTicker")
    print_fields = [("E", int), ("p", float), ("q", float), ("t", int), ("m", bool)]
    trade = msgspec.defstruct("trade", print_fields, tag_field="e", tag="trade")
    frame = msgspec.defstruct("frame", [("data", quote | trade)])
    decode = msgspec.json.Decoder(frame, strict=False).decode
    frames = market_frames()

    def run() -> dict[str, Any]:
        fields = 0
        for raw in frames:
            data = decode(raw).data
            values = (data.E, data.b, data.B, data.a, data.A) if type(data) is quote else (data.E, data.p, data.q, data.t, data.m)
            fields += len(values)
        return {"fields": fields}

    run()
    return run


def _by_key(loads: Callable[[bytes], Any]) -> Callable[[], dict[str, Any]]:
    frames = market_frames()

    def run() -> dict[str, Any]:
        fields = 0
        for raw in frames:
            data = loads(raw)["data"]
            if data["e"] == "bookTicker":
                values: tuple[Any, ...] = (data["E"], *(float(data[name]) for name in "bBaA"))
            else:
                values = (data["E"], float(data["p"]), float(data["q"]), data["t"], -1 if data["m"] else 1)
            fields += len(values)
        return {"fields": fields}

    run()
    return run
