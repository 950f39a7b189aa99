"""The obvious twin of every feature: plain Python over lists of clean values, O(n * window), no state carried along.

Each function takes the events of one instrument and gives one number per event of the stream the feature reads, NaN before
warm-up. An event whose inputs are not usable gives NaN and is otherwise as if it had never come.
"""

import math

import numpy as np

NAN = math.nan
NS_PER_S = 1_000_000_000


def over_clean(values, function):
    """Give function(clean values up to here) for each value, NaN where the value itself is NaN."""
    seen, out = [], []
    for value in values:
        if math.isnan(value):
            out.append(NAN)
        else:
            seen.append(value)
            out.append(function(seen))
    return out


def last(window, reduce):
    return lambda seen: reduce(seen[-window:]) if len(seen) >= window else NAN


def finite(x):
    return float(x) if math.isfinite(x) else NAN


def mid(events):
    return [(finite(e["bid_price"]) + finite(e["ask_price"])) / 2 for e in events]


def gap(events):
    return [finite(e["ask_price"]) - finite(e["bid_price"]) for e in events]


def imbalance(events):
    pairs = [(finite(e["bid_qty"]), finite(e["ask_qty"])) for e in events]
    return [(b - a) / (b + a) if b + a > 0 else NAN for b, a in pairs]


def change(values):
    return over_clean(values, lambda seen: seen[-1] - seen[-2] if len(seen) > 1 else NAN)


def relative(values, steps):
    return over_clean(values, lambda seen: (seen[-1] - seen[-1 - steps]) / seen[-1 - steps] if len(seen) > steps else NAN)


def average(values, period):
    def weighted(seen):
        if len(seen) < period:
            return NAN
        weight, result = 2 / (period + 1), seen[0]
        for value in seen[1:]:
            result = weight * value + (1 - weight) * result
        return result

    return over_clean(values, weighted)


def deviation(values, window):
    def std(part):
        return 0.0 if len(set(part)) == 1 else float(np.std(part))

    return over_clean(values, last(window, std))


def mean(values, window):
    return over_clean(values, last(window, lambda part: math.fsum(part) / window))


def label(values, means, low, high):
    def one(x, m):
        if math.isnan(x) or math.isnan(m):
            return NAN
        if m == 0:
            return 1.0
        return 0.0 if x / m < low else 2.0 if x / m > high else 1.0

    return [one(x, m) for x, m in zip(values, means, strict=True)]


def mid_price(events):
    return mid(events)


def spread(events):
    return gap(events)


def return_1(events):
    return relative(mid(events), 1)


def volatility(events, window=20):
    return deviation(return_1(events), window)


def ema(events, period=14):
    return average(mid(events), period)


def rsi(events, period=14):
    def strength(part):
        gain, loss = math.fsum(x for x in part if x > 0), -math.fsum(x for x in part if x < 0)
        if gain == 0 and loss == 0:
            return 50.0
        return 100.0 if loss == 0 else 100 - 100 / (1 + gain / loss)

    return over_clean(change(mid(events)), last(period, strength))


def atr(events, period=14):
    ranges = [NAN if math.isnan(c) else max(s, abs(c)) for s, c in zip(gap(events), change(mid(events)), strict=True)]
    return mean(ranges, period)


def roc(events, period=10):
    return [100 * x for x in relative(mid(events), period)]


def regime_volatility(events, short=20, long=100, low_ratio=0.5, high_ratio=2.0):
    stds = volatility(events, short)
    return label(stds, mean(stds, long), low_ratio, high_ratio)


def regime_trend(events, fast=10, slow=30, threshold_ratio=1e-6):
    fasts, slows = average(mid(events), fast), average(mid(events), slow)

    def one(f, s, c):
        if math.isnan(s) or math.isnan(c):
            return NAN
        return 1.0 if f > s and c > threshold_ratio else -1.0 if f < s and c < -threshold_ratio else 0.0

    return [one(*each) for each in zip(fasts, slows, relative(fasts, 1), strict=True)]


def regime_spread(events, window=100, low_ratio=0.5, high_ratio=2.0):
    return label(gap(events), mean(gap(events), window), low_ratio, high_ratio)


def microprice(events):
    def one(e):
        bid, ask, bid_qty, ask_qty = (finite(e[name]) for name in ("bid_price", "ask_price", "bid_qty", "ask_qty"))
        return (bid + ask) / 2 if bid_qty + ask_qty == 0 else (bid * ask_qty + ask * bid_qty) / (bid_qty + ask_qty)

    return [one(e) for e in events]


def imbalance_ema(events, period=20):
    return average(imbalance(events), period)


def ema_slope(events, period=14, lookback=5):
    averages = ema(events, period)
    return over_clean(averages, lambda seen: (seen[-1] - seen[-1 - lookback]) / lookback if len(seen) > lookback else NAN)


def bollinger_pos(events, period=20, width=2.0):
    def position(part):
        if len(set(part)) == 1:
            return 0.5
        center, half = math.fsum(part) / period, width * float(np.std(part))
        return min(max((part[-1] - (center - half)) / (2 * half), 0.0), 1.0)

    return over_clean(mid(events), last(period, position))


def trade_flow_imbalance(trades, half_life_ns=10 * NS_PER_S, warmup_events=20):
    out, seen = [], []
    for trade in trades:
        qty = finite(trade["qty"])
        if math.isnan(qty):
            out.append(NAN)
            continue
        seen.append((int(trade["ts_recv"]), float(trade["side"]), qty))
        weights = [0.5 ** ((seen[-1][0] - ts) / half_life_ns) for ts, _, _ in seen]
        signed = math.fsum(w * side * q for w, (_, side, q) in zip(weights, seen, strict=True))
        total = math.fsum(w * q for w, (_, _, q) in zip(weights, seen, strict=True))
        out.append(signed / total if len(seen) >= warmup_events and total > 0 else NAN)
    return out


def trade_activity(trades, half_life_ns=60 * NS_PER_S, warmup_events=20):
    seen, out = [], []
    for trade in trades:
        if not math.isfinite(float(trade["qty"])):
            out.append(NAN)
            continue
        seen.append((int(trade["ts_recv"]), float(trade["side"]) ** 2))
        now = seen[-1][0]
        total = math.fsum(0.5 ** ((now - ts) / half_life_ns) * counted for ts, counted in seen)
        out.append(total if len(seen) >= warmup_events else NAN)
    return out
