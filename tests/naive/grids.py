"""The obvious twins of features on grids of time and volume, of slow streams, across timeframes and instruments."""

import math

from edgesmith.domain.events import KIND_BBO, KIND_FUNDING, KIND_MARK_PRICE, KIND_OPEN_INTEREST, KIND_TRADE
from naive.flow import (
    BPS,
    NAN,
    depth,
    each,
    faded,
    flow_at,
    gap,
    mids,
    of,
    signed_volume,
    sizes,
    trade_flow_at,
    ts,
)


def mid(event):
    return (float(event["bid_price"]) + float(event["ask_price"])) / 2


def returns_by_step(quotes, grid_ns):
    """Give the return of mid in each grid step from the first quote's to the one before the last quote's."""
    first, last = ts(quotes[0]) // grid_ns, ts(quotes[-1]) // grid_ns
    out, start = [], mid(quotes[0])
    for step in range(first, last):
        inside = [quote for quote in quotes if ts(quote) // grid_ns == step]
        for quote in inside:
            start = mid(quote) if gap(quote) else start
        now = mid(inside[-1]) if inside else start
        out.append(now / start - 1)
        start = now
    return out


def variation(quotes, grid_ns, half_life_ns, bipower=False):
    r = [abs(x) for x in returns_by_step(quotes, grid_ns)]
    if len(r) * grid_ns < half_life_ns:
        return NAN
    w = [0.5 ** ((len(r) - 1 - k) * grid_ns / half_life_ns) for k in range(len(r))]
    products = [math.pi / 2 * now * before for now, before in zip(r, [0.0, *r], strict=False)] if bipower else [x * x for x in r]
    return math.fsum(x * y for x, y in zip(w, products, strict=True)) / math.fsum(w)


def realized_volatility(events, grid_ns, half_life_ns):
    def value(seen):
        return BPS * math.sqrt(variation(of(seen, KIND_BBO), grid_ns, half_life_ns) / (grid_ns / 1e9))

    return each(events, (KIND_BBO,), value)


def jump_ratio(events, grid_ns, half_life_ns):
    def value(seen):
        quotes = of(seen, KIND_BBO)
        whole, smooth = (variation(quotes, grid_ns, half_life_ns, bipower) for bipower in (False, True))
        return NAN if math.isnan(whole) else max(0.0, 1 - smooth / whole) if whole > 0 else 0.0

    return each(events, (KIND_BBO,), value)


def realized_compression(events, half_life_ns):
    fast, slow = (realized_volatility(events, half_life_ns // 10, half_life_ns * scale) for scale in (1, 4))
    return [x / y if y > 0 else NAN for x, y in zip(fast, slow, strict=True)]


def slopes(events, kinds, own, amounts, grid_ns, half_life_ns):
    """Give the slope of a step's move of mid on its flow; `amounts` holds each event's flow, NaN until the first."""
    started, price, steps, out = None, NAN, {}, []
    for event, amount in zip(events, amounts, strict=True):
        price = mid(event) if event["kind"] == KIND_BBO else price
        if event["kind"] not in kinds:
            out.append(out[-1] if out else NAN)
            continue
        if started is None and math.isnan(amount):
            out.append(NAN)
            continue
        now = ts(event) // grid_ns
        started = now if started is None else started
        if now not in steps:
            before = steps[max(steps)]["end"] if steps else price
            steps[now] = {"flow": 0.0, "start": before, "end": before}
        if event["kind"] == KIND_BBO and gap(event):
            steps[now] = {"flow": 0.0, "start": price, "end": price}
        steps[now]["flow"] += amount if event["kind"] == own else 0.0
        steps[now]["end"] = price
        done = [(0.5 ** ((now - s) * grid_ns / half_life_ns), step) for s, step in steps.items() if s < now]
        above = math.fsum(w * step["flow"] * (step["end"] / step["start"] - 1) for w, step in done)
        below = math.fsum(w * step["flow"] ** 2 for w, step in done)
        out.append(BPS * above / below if (now - started) * grid_ns >= half_life_ns and below > 0 else NAN)
    return out


def kyle_lambda(events, grid_ns, half_life_ns):
    amounts = []
    for place, event in enumerate(events):
        quotes = of(events[: place + 1], KIND_BBO)
        taken = event["kind"] == KIND_TRADE and quotes
        amounts.append(event["side"] * event["qty"] / depth(quotes, ts(quotes[-1]), half_life_ns) if taken else NAN)
    return slopes(events, (KIND_BBO, KIND_TRADE), KIND_TRADE, amounts, grid_ns, half_life_ns)


def order_flow_impact(events, grid_ns, half_life_ns):
    amounts = []
    for place, event in enumerate(events):
        quotes = of(events[: place + 1], KIND_BBO)
        taken = event["kind"] == KIND_BBO and len(quotes) > 1
        amounts.append(flow_at(quotes[-2:], 1, 1) * depth(quotes[-2:], ts(event), 1) if taken else NAN)
        if taken:
            amounts[-1] /= depth(quotes, ts(event), half_life_ns)
    return slopes(events, (KIND_BBO,), KIND_BBO, amounts, grid_ns, half_life_ns)


def absorbed_flow(events, half_life_ns, slope_half_life_ns):
    slope = kyle_lambda(events, 1_000_000_000, slope_half_life_ns)
    volume = signed_volume(events, half_life_ns, 1)

    def moved(seen):
        quotes = of(seen, KIND_BBO)
        m = mids(quotes)
        r = [now / before - 1 for now, before in zip(m[1:], m, strict=False)]
        return faded(quotes[1:], r, ts(quotes[-1]), half_life_ns) if r else NAN

    moves = each(events, (KIND_BBO,), moved)
    return [abs(v) * s - BPS * abs(m) for v, s, m in zip(volume, slope, moves, strict=True)]


def vpin(events, bucket_ns, half_life_ns, buckets):
    trades, out, shares = [], [], []
    size = filled = signed = 0.0
    for event in events:
        if event["kind"] != KIND_TRADE:
            out.append(out[-1] if out else NAN)
            continue
        trades.append(event)
        spent_ns = half_life_ns / math.log(2) * (1 - 0.5 ** ((ts(event) - ts(trades[0])) / half_life_ns))
        settled = ts(event) - ts(trades[0]) >= bucket_ns
        fair = faded(trades, sizes(trades), ts(event), half_life_ns) / spent_ns * bucket_ns if settled else 0.0
        size = size or fair
        left = min(float(event["qty"]), (buckets + 1) * size)
        while left > 0:
            part = min(left, size - filled)
            full = part == size - filled
            filled, signed, left = filled + part, signed + event["side"] * part, left - part
            if full:
                shares.append(abs(signed) / size)
                size, filled, signed = fair, 0.0, 0.0
        out.append(math.fsum(shares[-buckets:]) / buckets if len(shares) >= buckets else NAN)
    return out


def standing_mean(values, instants_ns, half_life_ns):
    """Give the mean of a step function over the time from the first instant to the last, fading by half."""
    now = instants_ns[-1]
    edges = [0.5 ** ((now - instant) / half_life_ns) for instant in instants_ns]
    areas = [x * (end - begin) for x, begin, end in zip(values, edges, edges[1:], strict=False)]
    return math.fsum(areas) / (1 - edges[0]) if edges[0] < 1 else values[-1]


def over_past(events, kind, values, half_life_ns):
    known, instants = [], []

    def value(seen):
        known.append(values(seen[-1]))
        instants.append(ts(seen[-1]))
        return standing_mean(known, instants, half_life_ns)

    return each(events, (kind,), value)


def mark_basis(events):
    return each(events, (KIND_MARK_PRICE,), lambda seen: BPS * (seen[-1]["mark_price"] / seen[-1]["index_price"] - 1))


def index_basis(events):
    def value(seen):
        quotes, marks = of(seen, KIND_BBO), of(seen, KIND_MARK_PRICE)
        return BPS * (mid(quotes[-1]) / marks[-1]["index_price"] - 1) if quotes and marks else NAN

    return each(events, (KIND_BBO, KIND_MARK_PRICE), value)


def funding_rate(events):
    return each(events, (KIND_FUNDING,), lambda seen: BPS * seen[-1]["funding_rate"])


def funding_due(events):
    def value(seen):
        known = of(seen, KIND_FUNDING)
        return max(int(known[-1]["next_funding_ts"]) - ts(seen[-1]), 0) / 60e9 if known else NAN

    return each(events, range(5), value)


def minute_of_day(events):
    return each(events, range(5), lambda seen: float(ts(seen[-1]) // 60_000_000_000 % 1440))


def open_interest_change(events, half_life_ns):
    means = over_past(events, KIND_OPEN_INTEREST, lambda event: event["open_interest"], half_life_ns)
    now = each(events, (KIND_OPEN_INTEREST,), lambda seen: seen[-1]["open_interest"])
    return [BPS * (x / m - 1) for x, m in zip(now, means, strict=True)]


def agree(*columns):
    def one(values):
        if any(math.isnan(x) for x in values):
            return NAN
        return 1.0 if min(values) > 0 else -1.0 if max(values) < 0 else 0.0

    return [one(values) for values in zip(*columns, strict=True)]


def trade_flow(events, half_life_ns, warmup_events):
    return each(events, (KIND_TRADE,), lambda seen: trade_flow_at(of(seen, KIND_TRADE), half_life_ns, warmup_events))


def order_flow(events, half_life_ns, warmup_events):
    return each(events, (KIND_BBO,), lambda seen: flow_at(of(seen, KIND_BBO), half_life_ns, warmup_events))


def trade_flow_shift(events, half_life_ns, warmup_events):
    fast, slow = (trade_flow(events, half_life_ns * scale, warmup_events) for scale in (1, 4))
    return [x - y for x, y in zip(fast, slow, strict=True)]


def trade_flow_agreement(events, half_life_ns, warmup_events):
    return agree(*(trade_flow(events, half_life_ns * scale, warmup_events) for scale in (1, 4, 16)))


def order_flow_shift(events, half_life_ns, warmup_events):
    fast, slow = (order_flow(events, half_life_ns * scale, warmup_events) for scale in (1, 4))
    return [x - y / 4 for x, y in zip(fast, slow, strict=True)]


def order_flow_agreement(events, half_life_ns, warmup_events):
    return agree(*(order_flow(events, half_life_ns * scale, warmup_events) for scale in (1, 4, 16)))


def queue(event):
    return (event["bid_qty"] - event["ask_qty"]) / (event["bid_qty"] + event["ask_qty"])


def queue_shift(events, half_life_ns):
    fast, slow = (over_past(events, KIND_BBO, queue, half_life_ns * scale) for scale in (1, 4))
    return [x - y for x, y in zip(fast, slow, strict=True)]


def queue_agreement(events, half_life_ns):
    return agree(*(over_past(events, KIND_BBO, queue, half_life_ns * scale) for scale in (1, 4, 16)))


def trend_shift(events, half_life_ns):
    fast, slow = (over_past(events, KIND_BBO, mid, half_life_ns * scale) for scale in (1, 4))
    return [BPS * (x / y - 1) for x, y in zip(fast, slow, strict=True)]


def trend_agreement(events, half_life_ns):
    now = each(events, (KIND_BBO,), lambda seen: mid(seen[-1]))
    means = [over_past(events, KIND_BBO, mid, half_life_ns * scale) for scale in (1, 4, 16)]
    return agree(*([x - m for x, m in zip(now, mean, strict=True)] for mean in means))


def leader_return(events, leader_quotes, window_ns):
    """Look the leader's mids up as received; instants in whole microseconds."""

    def value(seen):
        known = [quote for quote in leader_quotes if quote["order"] < seen[-1]["order"]]
        then_us = (ts(seen[-1]) - window_ns) // 1000
        before = [quote for quote in known if ts(quote) // 1000 <= then_us]
        return BPS * (mid(known[-1]) / mid(before[-1]) - 1) if before else NAN

    return each(events, (KIND_BBO, KIND_TRADE), value)


def leader_basis(events, leader_quotes):
    def value(seen):
        known = [quote for quote in leader_quotes if quote["order"] < seen[-1]["order"]]
        return BPS * (mid(seen[-1]) / mid(known[-1]) - 1) if known else NAN

    return each(events, (KIND_BBO,), value)


def leader_basis_score(events, leader_quotes, half_life_ns):
    values, instants, out = [], [], []
    for event, x in zip(events, leader_basis(events, leader_quotes), strict=True):
        if event["kind"] != KIND_BBO or math.isnan(x):
            out.append(out[-1] if out else NAN)
            continue
        values.append(x)
        instants.append(ts(event))
        average = standing_mean(values, instants, half_life_ns)
        squares = standing_mean([(y - average) ** 2 for y in values], instants, half_life_ns) if len(values) > 1 else 0.0
        out.append((x - average) / math.sqrt(squares) if squares > 0 and instants[-1] > instants[0] else 0.0)
    return out
