"""The obvious twins of the behavior features and the continuous regime features; see `naive.features` for the rules."""

import math
from itertools import pairwise

from naive.features import (
    NAN,
    NS_PER_S,
    average,
    change,
    deviation,
    gap,
    imbalance,
    last,
    mean,
    mid,
    over_clean,
    relative,
    return_1,
)


def together(function, *columns):
    return [NAN if any(math.isnan(x) for x in each) else function(*each) for each in zip(*columns, strict=True)]


def sign(x):
    return (x > 0) - (x < 0)


def positive_gap(events):
    return [s if s > 0 else NAN for s in gap(events)]


def liquidity_pressure(events, period=10):
    return average(imbalance(events), period)


def return_momentum(events, window=20, by_size=1):
    def one(part):
        weights = [x if by_size else sign(x) for x in part]
        total = math.fsum(map(abs, weights))
        return math.fsum(weights) / total if total else 0.0

    return over_clean(change(mid(events)), last(window, one))


def held(x, usual):
    return 1.0 if usual == 0 else min(x / usual, 5.0)


def volatility_ratio(events, short=20, long=100):
    return together(held, deviation(return_1(events), short), deviation(return_1(events), long))


def trend_strength(events, fast=10, slow=30, steps=4, noise=100, gain=0.5):
    fasts, slows = average(mid(events), fast), average(mid(events), slow)

    def one(f, s, rise, n):
        return math.tanh(gain * (0.7 * (f - s) / s + 0.3 * rise) / n) if n else 0.0

    return together(one, fasts, slows, relative(fasts, steps), deviation(return_1(events), noise))


def spread_ratio(events, window=100):
    return together(held, positive_gap(events), mean(positive_gap(events), window))


def trend_efficiency(events, window=100):
    def one(seen):
        if len(seen) <= window:
            return NAN
        part = seen[-1 - window :]
        way = math.fsum(abs(b - a) for a, b in pairwise(part))
        return min(abs(part[-1] - part[0]) / way, 1.0) if way else 0.0

    return over_clean(mid(events), one)


def regime_stability(events, window=100):
    parts = (volatility_ratio(events), trend_strength(events), spread_ratio(events))

    def one(v, t, s):
        return 0.4 * (1 - min(v, 1)) + 0.4 * (1 - min(t, 1)) + 0.2 * (1 - min(s, 1))

    return together(one, *(deviation(part, window) for part in parts))


def spread_compression(events, fast=10, slow=50):
    def one(f, s):
        return max(min((s - f) / s, 1.0), -1.0)

    return together(one, average(positive_gap(events), fast), average(positive_gap(events), slow))


def imbalance_acceleration(events, period=10, smoothing=5, gain=100.0):
    return [math.tanh(gain * x) for x in average(change(average(imbalance(events), period)), smoothing)]


def micro_reversion(events, window=50):
    def turn(seen):
        return (1 - sign(seen[-1]) * sign(seen[-2])) / 2 if len(seen) > 1 else NAN

    return mean(over_clean(return_1(events), turn), window)


def step(x):
    # 64 steps of equal width inside each doubling.
    if x <= 0:
        return 0
    whole = math.floor(math.log2(x))
    whole += (2.0 ** (whole + 1) <= x) - (2.0**whole > x)
    return min(max((whole + 32) * 64 + math.floor((x / 2.0**whole - 1) * 64), 1), 4095)


def rank(values, window):
    def one(part):
        steps = [step(x) for x in part]
        return sum(s <= steps[-1] for s in steps) / window

    return over_clean(values, last(window, one))


def quote_intensity(events, window=20, ranks=200):
    usable = [NAN if math.isnan(m) else i for i, m in enumerate(mid(events))]

    def rate(seen):
        span_ns = int(events["ts_recv"][seen[-1]]) - int(events["ts_recv"][seen[-window]])
        return (window - 1) * NS_PER_S / max(span_ns, 1)

    return rank(over_clean(usable, lambda seen: rate(seen) if len(seen) >= window else NAN), ranks)


def behavior_divergence(events, window=20, period=10):
    return together(lambda a, b: (a - b) / 2, return_momentum(events, window), liquidity_pressure(events, period))


def volatility_compression_score(events, ranks=50):
    def one(ratio, compressed, r):
        return 0.4 * max(min(2 - ratio, 1), 0) + 0.3 * (compressed + 1) / 2 + 0.3 * (1 - r)

    columns = (volatility_ratio(events), spread_compression(events), rank(deviation(return_1(events), 20), ranks))
    return together(one, *columns)


def faded(events, values, half_life_ns, warmup=100):
    """Sum of values, each fading by half every half-life, at each value."""
    ts = [int(t) for t in events["ts_recv"]]
    out, seen = [], []
    for now, value in zip(ts, values, strict=True):
        if math.isnan(value):
            out.append(NAN)
            continue
        seen.append((now, value))
        out.append(math.fsum(v * 0.5 ** ((now - t) / half_life_ns) for t, v in seen) if len(seen) >= warmup else NAN)
    return out


def quote_rate(events, half_life_ns=60 * NS_PER_S):
    counted = faded(events, [NAN if math.isnan(m) else 1.0 for m in mid(events)], half_life_ns)
    return [math.log(2) * NS_PER_S / half_life_ns * x for x in counted]


def path_efficiency(events, half_life_ns=60 * NS_PER_S):
    returns = return_1(events)
    net, way = faded(events, returns, half_life_ns), faded(events, [abs(r) for r in returns], half_life_ns)
    return together(lambda n, w: min(abs(n) / w, 1.0) if w > 0 else 0.0, net, way)


def mean_spread(events, half_life_ns=60 * NS_PER_S):
    spreads = [1e4 * s / m for s, m in zip(gap(events), mid(events), strict=True)]
    out, stood = [], []  # (from, to, spread)
    for now, spread in zip((int(t) for t in events["ts_recv"]), spreads, strict=True):
        if math.isnan(spread):
            out.append(NAN)
            continue
        if stood:
            stood[-1] = (stood[-1][0], now, stood[-1][2])
        weights = [0.5 ** ((now - end) / half_life_ns) - 0.5 ** ((now - begin) / half_life_ns) for begin, end, _ in stood]
        total = math.fsum(weights)
        mean = math.fsum(w * s for w, (_, _, s) in zip(weights, stood, strict=True)) / total if total > 0 else spread
        out.append(mean)
        stood.append((now, now, spread))
    return out
