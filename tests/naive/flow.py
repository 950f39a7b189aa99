"""The obvious twins of features over several streams: from the definition, over the whole past, at each event.

Each function takes the clean events of one instrument, all streams in order, and gives one number per event: the value after
it, NaN before warm-up. `past(events)` holds what an event adds; sums over the past are written as sums.
"""

import math
from itertools import pairwise

from edgesmith.domain.events import FLAG_AFTER_GAP, KIND_BBO, KIND_TRADE

NAN = math.nan
BPS = 1e4


def ts(event):
    return int(event["ts_recv"])


def of(events, *kinds):
    return [event for event in events if event["kind"] in kinds]


def each(events, kinds, value):
    """Give value(events up to and with this one) after each event of `kinds`, carried over the others."""
    out, last = [], NAN
    for place, event in enumerate(events):
        if event["kind"] in kinds:
            last = value(events[: place + 1])
        out.append(last)
    return out


def weights(seen, now_ns, half_life_ns):
    return [0.5 ** ((now_ns - ts(event)) / half_life_ns) for event in seen]


def faded(seen, amounts, now_ns, half_life_ns):
    return math.fsum(w * x for w, x in zip(weights(seen, now_ns, half_life_ns), amounts, strict=True))


def signs(trades):
    return [float(trade["side"]) for trade in trades]


def sizes(trades):
    return [float(trade["qty"]) for trade in trades]


def mids(quotes):
    return [(float(quote["bid_price"]) + float(quote["ask_price"])) / 2 for quote in quotes]


def gap(event):
    return bool(int(event["flags"]) & FLAG_AFTER_GAP)


def flows(quotes):
    """Give e of Cont, Kukanov and Stoikov for each quote but the first; 0 after a gap."""
    out = []
    for before, now in pairwise(quotes):
        b, a, b0, a0 = (float(x) for x in (now["bid_price"], now["ask_price"], before["bid_price"], before["ask_price"]))
        e = (b >= b0) * now["bid_qty"] - (b <= b0) * before["bid_qty"]
        e += (a >= a0) * before["ask_qty"] - (a <= a0) * now["ask_qty"]
        out.append(0.0 if gap(now) else float(e))
    return out


def depth(quotes, now_ns, half_life_ns):
    halves = [(float(quote["bid_qty"]) + float(quote["ask_qty"])) / 2 for quote in quotes]
    w = weights(quotes, now_ns, half_life_ns)
    return math.fsum(x * y for x, y in zip(w, halves, strict=True)) / math.fsum(w)


def queue_imbalance(events):
    def value(seen):
        bid, ask = float(seen[-1]["bid_qty"]), float(seen[-1]["ask_qty"])
        return (bid - ask) / (bid + ask) if bid + ask > 0 else NAN

    return each(events, (KIND_BBO,), value)


def flow_at(quotes, half_life_ns, warmup_events):
    if len(quotes) <= warmup_events:
        return NAN
    now_ns = ts(quotes[-1])
    return faded(quotes[1:], flows(quotes), now_ns, half_life_ns) / depth(quotes, now_ns, half_life_ns)


def order_flow_imbalance(events, half_life_ns, warmup_events):
    return each(events, (KIND_BBO,), lambda seen: flow_at(of(seen, KIND_BBO), half_life_ns, warmup_events))


def signed_volume(events, half_life_ns, warmup_events):
    def value(seen):
        quotes, trades = of(seen, KIND_BBO), of(seen, KIND_TRADE)
        if min(len(quotes), len(trades)) < warmup_events:
            return NAN
        signed = [side * size for side, size in zip(signs(trades), sizes(trades), strict=True)]
        # The depth is that of the last quote, the volume is faded until now.
        return faded(trades, signed, ts(seen[-1]), half_life_ns) / depth(quotes, ts(quotes[-1]), half_life_ns)

    return each(events, (KIND_BBO, KIND_TRADE), value)


def trade_flow_at(trades, half_life_ns, warmup_events):
    if len(trades) < warmup_events:
        return NAN
    signed = [side * size for side, size in zip(signs(trades), sizes(trades), strict=True)]
    return faded(trades, signed, ts(trades[-1]), half_life_ns) / faded(trades, sizes(trades), ts(trades[-1]), half_life_ns)


def trade_sign_memory(events, half_life_ns, warmup_events):
    def value(seen):
        trades = of(seen, KIND_TRADE)
        if len(trades) < warmup_events:
            return NAN
        return faded(trades, signs(trades), ts(seen[-1]), half_life_ns) / math.fsum(weights(trades, ts(seen[-1]), half_life_ns))

    return each(events, (KIND_TRADE,), value)


def intensity(trades, now_ns, half_life_ns, wanted):
    ones = [float(side == wanted) for side in signs(trades)]
    rates = [
        math.log(2) / (half_life_ns * scale / 1e9) * faded(trades, ones, now_ns, half_life_ns * scale) for scale in (1, 8, 64)
    ]
    return sum(rates) / 3


def _of_intensities(events, half_life_ns, warmup_events, combine):
    def value(seen):
        trades = of(seen, KIND_TRADE)
        if len(trades) < warmup_events:
            return NAN
        return combine(*(intensity(trades, ts(seen[-1]), half_life_ns, side) for side in (1, -1)))

    return each(events, (KIND_BBO, KIND_TRADE), value)


def buy_intensity(events, half_life_ns, warmup_events):
    return _of_intensities(events, half_life_ns, warmup_events, lambda buys, _: buys)


def sell_intensity(events, half_life_ns, warmup_events):
    return _of_intensities(events, half_life_ns, warmup_events, lambda _, sells: sells)


def excitation_ratio(events, half_life_ns, warmup_events):
    return _of_intensities(events, half_life_ns, warmup_events, lambda b, s: (b - s) / (b + s) if b + s else 0.0)


def burst_ratio(events, half_life_ns, warmup_events):
    def value(seen):
        trades = of(seen, KIND_TRADE)
        if len(trades) < warmup_events:
            return NAN
        fast, slow = (math.fsum(weights(trades, ts(seen[-1]), half_life_ns * scale)) / scale for scale in (1, 64))
        return fast / slow if slow else 0.0

    return each(events, (KIND_BBO, KIND_TRADE), value)


def spread_ticks(events):
    def value(seen):
        quotes = of(seen, KIND_BBO)
        pairs = [(float(quote["bid_price"]), float(quote["ask_price"])) for quote in quotes]
        steps = [a - b for b, a in pairs]
        steps += [abs(x - y) for now, before in zip(pairs[1:], pairs, strict=False) for x, y in zip(now, before, strict=True)]
        steps = [step for step in steps if step > 1e-6]
        return math.floor((pairs[-1][1] - pairs[-1][0]) / min(steps) + 0.5) if steps else 0.0

    return each(events, (KIND_BBO,), value)


def wide_age(events):
    ticks, quotes = spread_ticks(of(events, KIND_BBO)), of(events, KIND_BBO)

    def value(seen):
        known = len(of(seen, KIND_BBO))
        wide = [ts(quote) for quote, t in zip(quotes[:known], ticks[:known], strict=True) if t > 1]
        return (ts(seen[-1]) - (wide[-1] if wide else ts(quotes[0]))) / 1e9

    return each(events, (KIND_BBO,), value)


def spread_peak(events, half_life_ns):
    ticks, quotes = spread_ticks(of(events, KIND_BBO)), of(events, KIND_BBO)

    def value(seen):
        known = len(of(seen, KIND_BBO))
        w = weights(quotes[:known], ts(seen[-1]), half_life_ns)
        return max(x * y for x, y in zip(w, ticks[:known], strict=True))

    return each(events, (KIND_BBO,), value)


def best_price(seen, side):
    """Give the quotes since the best price of `side` ('bid', 'ask') last changed or a gap, and the events since."""
    start = None
    for place, event in enumerate(seen):
        if event["kind"] == KIND_BBO and (start is None or event[f"{side}_price"] != seen[start][f"{side}_price"] or gap(event)):
            start = place
    return seen[start:] if start is not None else []


def _absorption(events, side, taker):
    def value(seen):
        if not of(seen, KIND_BBO) or not of(seen, KIND_TRADE):
            return NAN
        since = best_price(seen, side)
        price = float(since[0][f"{side}_price"])
        shown = max(float(quote[f"{side}_qty"]) for quote in of(since, KIND_BBO))
        traded = [float(t["qty"]) for t in of(since, KIND_TRADE) if t["side"] == taker and float(t["price"]) == price]
        return math.fsum(traded) / shown if shown > 0 else NAN

    return each(events, (KIND_BBO, KIND_TRADE), value)


def bid_absorption(events):
    return _absorption(events, "bid", -1)


def ask_absorption(events):
    return _absorption(events, "ask", 1)


def absorption_balance(events):
    return [b - a for b, a in zip(bid_absorption(events), ask_absorption(events), strict=True)]


def _refills(events, side, taker, within_ns, share):
    def value(seen):
        if not of(seen, KIND_BBO) or not of(seen, KIND_TRADE):
            return NAN
        count, waiting, shown = 0, None, NAN
        for event in best_price(seen, side):
            if waiting and ts(event) > waiting["due"]:
                count, waiting = 0, None
            if event["kind"] == KIND_BBO:
                shown = float(event[f"{side}_qty"])
                price = float(event[f"{side}_price"])
                if waiting:
                    waiting["seen"].append(shown)
                    if shown - min(waiting["seen"]) >= share * waiting["qty"]:
                        count, waiting = count + 1, None
            elif event["kind"] == KIND_TRADE and event["side"] == taker and float(event["price"]) == price and event["qty"] > 0:
                waiting = waiting or {"qty": 0.0, "seen": [shown]}
                waiting["qty"] += float(event["qty"])
                waiting["due"] = ts(event) + within_ns
        return float(count)

    return each(events, (KIND_BBO, KIND_TRADE), value)


def bid_refills(events, within_ns, share):
    return _refills(events, "bid", -1, within_ns, share)


def ask_refills(events, within_ns, share):
    return _refills(events, "ask", 1, within_ns, share)


def refill_balance(events, within_ns, share):
    pairs = zip(bid_refills(events, within_ns, share), ask_refills(events, within_ns, share), strict=True)
    return [b - a for b, a in pairs]
