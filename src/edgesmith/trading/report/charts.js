/* Draws the report's charts with uPlot: one time axis shared by all, zoom by drag or pinch, fills as triangles. */
(() => {
  "use strict";
  const FILLS_VISIBLE_MAX = 500;
  const FILL_REACH_PX = 14;
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const report = JSON.parse(document.getElementById("report-data").textContent);
  const resetButton = document.getElementById("zoom-reset");
  const charts = [];
  let domain = null;
  let moving = false;

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const two = (value) => String(value).padStart(2, "0");

  function numbers(text) {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    return new Float64Array(bytes.buffer);
  }
  const gapped = (values) => (values.some(Number.isNaN) ? Array.from(values, (v) => (Number.isNaN(v) ? null : v)) : values);
  const unpack = (columns, names) => names.map((name, i) => (i ? gapped(numbers(columns[name])) : numbers(columns[name])));

  function decimalsOf(step) {
    let decimals = 0;
    while (decimals < 8 && Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6) decimals++;
    return decimals;
  }
  function figure(value, decimals) {
    if (value == null) return "\u2013";
    const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    return (value < 0 && /[1-9]/.test(text) ? "\u2212" : "") + text;
  }
  function clock(seconds, step) {
    const at = new Date(Math.round(seconds * 1e6) / 1e3);
    const minutes = two(at.getUTCHours()) + ":" + two(at.getUTCMinutes());
    if (step >= 86400) return two(at.getUTCDate()) + " " + MONTHS[at.getUTCMonth()];
    if (step >= 60) return minutes;
    if (step >= 1) return minutes + ":" + two(at.getUTCSeconds());
    return two(at.getUTCSeconds()) + "." + String(at.getUTCMilliseconds()).padStart(3, "0");
  }
  function moment(seconds) {
    const at = new Date(Math.round(seconds * 1e6) / 1e3);
    return at.toISOString().replace("T", " ").replace("Z", "");
  }

  function timeLabels(u, splits, axis, space, step) {
    let day = -1;
    return splits.map((at) => {
      const date = new Date(at * 1e3);
      const changed = date.getUTCDate() !== day;
      day = date.getUTCDate();
      const text = clock(at, step);
      return changed && step < 86400 ? text + "\n" + day + " " + MONTHS[date.getUTCMonth()] : text;
    });
  }
  function valueLabels(u, splits, axis, space, step) {
    const suffix = u.unit === "%" ? "%" : "";
    return splits.map((value) => figure(value, decimalsOf(step)) + suffix);
  }
  function axisWidth(u, values) {
    return 18 + 7 * Math.max(6, ...(values || []).map((text) => text.length));
  }

  /* Zoom: every chart shows the same stretch of time. */
  function zoom(min, max) {
    if (moving) return;
    moving = true;
    const from = Math.max(domain[0], min);
    const to = Math.min(domain[1], max);
    if (to - from > 1e-4) for (const chart of charts) chart.setScale("x", { min: from, max: to });
    resetButton.hidden = from <= domain[0] && to >= domain[1];
    moving = false;
  }
  function follow(source) {
    if (moving) return;
    moving = true;
    const left = source.cursor.left;
    for (const chart of charts) {
      if (chart !== source) {
        const at = left < 0 ? -10 : chart.valToPos(source.posToVal(left, "x"), "x");
        chart.setCursor({ left: at, top: left < 0 ? -10 : 10 });
      }
      chart.describe();
    }
    moving = false;
  }
  function pinchable(u) {
    const fingers = new Map();
    let held = null;
    const place = (event) => event.clientX - u.over.getBoundingClientRect().left;
    const drop = (event) => { fingers.delete(event.pointerId); held = null; };
    u.over.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch") fingers.set(event.pointerId, place(event));
    });
    u.over.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      fingers.set(event.pointerId, place(event));
      const [a, b] = fingers.values();
      if (b === undefined) return u.setCursor({ left: a, top: 10 });
      if (Math.abs(b - a) < 12) return;
      held = held || [u.posToVal(a, "x"), u.posToVal(b, "x")];
      const perPixel = (held[1] - held[0]) / (b - a);
      const min = held[0] - a * perPixel;
      zoom(min, min + u.over.clientWidth * perPixel);
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) u.over.addEventListener(name, drop);
  }

  /* Fills: triangles, up for a buy and down for a sell, hollow for a maker; thinned when a screen cannot hold them. */
  function span(times, from, to) {
    const at = (value) => { let lo = 0, hi = times.length; while (lo < hi) { const mid = (lo + hi) >> 1; if (times[mid] < value) lo = mid + 1; else hi = mid; } return lo; };
    return [at(from), at(to + 1e-9)];
  }
  function ranks(sides) {
    // Thinning counts buys and sells apart: every k-th of an alternating sequence would show one side only.
    const counts = { 1: 0, "-1": 0 };
    return Array.from(sides, (side) => counts[side]++);
  }
  function drawFills(u, fills, note) {
    const [first, last] = span(fills.t, u.scales.x.min, u.scales.x.max);
    const step = Math.max(1, Math.ceil((last - first) / FILLS_VISIBLE_MAX));
    const size = (last - first > 150 ? 3.4 : 4.6) * uPlot.pxRatio;
    const tones = { 1: color("up"), "-1": color("down") };
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.lineWidth = 1.2 * uPlot.pxRatio;
    const ground = color("panel");
    for (let i = first; i < last; i++) {
      if (fills.rank[i] % step) continue;
      const x = u.valToPos(fills.t[i], "x", true);
      const y = u.valToPos(fills.price[i], "y", true);
      const way = fills.side[i];
      ctx.beginPath();
      ctx.moveTo(x, y + way);
      ctx.lineTo(x - size, y + way * (1 + 1.7 * size));
      ctx.lineTo(x + size, y + way * (1 + 1.7 * size));
      ctx.closePath();
      ctx.strokeStyle = tones[way];
      ctx.fillStyle = fills.maker[i] ? ground : tones[way];
      ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
    const shown = last - first;
    note.textContent = (shown ? figure(shown, 0) + " fills in view" : "no fills in view")
      + (step > 1 ? ", 1 in " + step + " drawn: zoom in for all" : "")
      + (fills.kept < fills.total ? " (" + figure(fills.kept, 0) + " of " + figure(fills.total, 0) + " carried by this page)" : "");
  }
  function fillNear(u, fills, left) {
    const reach = FILL_REACH_PX;
    const [first, last] = span(fills.t, u.posToVal(left - reach, "x"), u.posToVal(left + reach, "x"));
    let best = -1, distance = Infinity;
    for (let i = first; i < last; i++) {
      const away = Math.abs(u.valToPos(fills.t[i], "x") - left);
      if (away < distance) { distance = away; best = i; }
    }
    return best;
  }

  /* One chart. */
  function draw(id, unit, data, series, extra) {
    const host = document.getElementById(id);
    if (!host) return;
    const readout = document.getElementById(id + "-readout");
    const idle = readout.textContent;
    const canvas = host.querySelector(".canvas");
    const size = () => ({ width: canvas.clientWidth, height: canvas.clientHeight });
    const axis = { stroke: () => color("mute"), font: "11px Inter, system-ui, sans-serif", grid: { stroke: () => color("grid"), width: 1 }, ticks: { show: false } };
    const options = {
      ...size(),
      legend: { show: false },
      padding: [8, 4, 0, 20],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
      cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, dist: 5 }, bind: { dblclick: () => () => { zoom(...domain); } } },
      scales: { y: { range: extra.range || ((u, min, max) => (min == null ? [0, 1] : uPlot.rangeNum(min, max, 0.08, true))) } },
      axes: [
        { ...axis, space: 70, values: timeLabels, size: 36 },
        { ...axis, side: 1, values: valueLabels, size: axisWidth, space: 34 },
      ],
      series: [{}, ...series],
      bands: extra.bands || [],
      hooks: {
        setScale: [(u, key) => { if (key === "x" && domain && !moving) zoom(u.scales.x.min, u.scales.x.max); }],
        setCursor: [follow],
        draw: extra.draw ? [extra.draw] : [],
      },
    };
    const chart = new uPlot(options, data, canvas);
    chart.unit = unit;
    chart.describe = () => {
      const left = chart.cursor.left, index = chart.cursor.idx;
      readout.replaceChildren();
      if (left == null || left < 0 || index == null) { readout.textContent = idle; return; }
      readout.append(moment(data[0][index]) + " UTC  ");
      extra.describe(index, left, chart).forEach(([text, tone]) => {
        const part = document.createElement("b");
        part.className = tone || "";
        part.textContent = text + "  ";
        readout.append(part);
      });
    };
    new ResizeObserver(() => chart.setSize(size())).observe(canvas);
    pinchable(chart);
    charts.push(chart);
    chart.describe();
  }

  const line = (extra) => ({ stroke: () => color("line"), width: 1.4, points: { show: false }, ...extra });
  const bound = { stroke: "transparent", width: 0, points: { show: false } };
  const rangeBand = [{ series: [2, 3], fill: () => color("range") }];
  const currency = report.currency ? " " + report.currency : "";

  function baseline(u) {
    const y = Math.round(u.valToPos(report.equity_start, "y", true)) + 0.5;
    if (report.equity_start == null || y < u.bbox.top || y > u.bbox.top + u.bbox.height) return;
    u.ctx.save();
    u.ctx.strokeStyle = color("mute");
    u.ctx.setLineDash([4 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
    u.ctx.beginPath();
    u.ctx.moveTo(u.bbox.left, y);
    u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
    u.ctx.stroke();
    u.ctx.restore();
  }
  function drawCurve(curve) {
    const [t, close, max, min] = unpack(curve, ["t", "close", "max", "min"]);
    draw("chart-equity", "", [t, close, max, min], [line(), bound, bound], {
      bands: rangeBand, draw: baseline,
      describe: (i) => {
        const change = report.equity_start == null ? null : close[i] - report.equity_start;
        const tone = change > 0 ? "up" : change < 0 ? "down" : "";
        return [[figure(close[i], 2) + currency, ""], [change == null ? "" : (change > 0 ? "+" : "") + figure(change, 2), tone]];
      },
    });
    const [, drawdown] = unpack(curve, ["t", "drawdown"]);
    const red = () => color("down");
    draw("chart-drawdown", "%", [t, drawdown], [line({ stroke: red, width: 1.2, fill: () => color("down-fill"), fillTo: 0 })], {
      range: (u, min) => [min == null || min >= 0 ? -1 : min * 1.08, 0],
      describe: (i) => [[figure(drawdown[i], 3) + "%", drawdown[i] < 0 ? "down" : ""]],
    });
    const [, position] = unpack(curve, ["t", "position"]);
    draw("chart-position", "", [t, position], [line({ width: 1, paths: uPlot.paths.stepped({ align: 1 }), stroke: () => color("line-soft"), fill: () => color("line-fill"), fillTo: 0 })], {
      range: (u, min, max) => (min == null || (min === 0 && max === 0) ? [-1, 1] : uPlot.rangeNum(Math.min(0, min), Math.max(0, max), 0.08, true)),
      describe: (i) => [[figure(position[i], 2) + currency, ""]],
    });
  }
  function drawPane(pane, index) {
    const [t, close, max, min] = unpack(pane.price, ["t", "close", "max", "min"]);
    const fills = { ...pane.fills };
    for (const name of ["t", "price", "side", "qty", "fee", "maker"]) fills[name] = numbers(pane.fills[name]);
    fills.rank = ranks(fills.side);
    const note = document.getElementById("chart-price-" + index + "-note");
    const decimals = pane.decimals;
    draw("chart-price-" + index, "", [t, close, max, min], [line({ stroke: () => color("soft"), width: 1.1 }), bound, bound], {
      bands: rangeBand, draw: (u) => drawFills(u, fills, note),
      describe: (i, left, u) => {
        const near = fillNear(u, fills, left);
        const mid = ["mid " + figure(close[i], decimals + 1), ""];
        if (near < 0) return [mid];
        const buy = fills.side[near] > 0;
        const text = (buy ? "buy " : "sell ") + String(Number(fills.qty[near].toPrecision(10))) + " @ " + figure(fills.price[near], decimals)
          + (fills.maker[near] ? " maker" : " taker") + ", fee " + fills.fee[near].toPrecision(3);
        return [mid, [text, buy ? "up" : "down"]];
      },
    });
  }

  /* Several lines over one stretch of time, such as one figure of several features by period. */
  function drawLines(lines) {
    const data = [numbers(lines.t), ...lines.values.map((text) => gapped(numbers(text)))];
    const tones = lines.names.map((name, i) => () => color("tone-" + (i % 6 + 1)));
    draw(lines.id, "", data, tones.map((stroke) => line(lines.plain ? { stroke } : { stroke, points: { show: true, size: 5, fill: stroke } })), {
      describe: (i) => lines.names.map((name, at) => [name + " " + figure(data[at + 1][i], lines.decimals), ""]),
    });
  }

  if (report.curve) drawCurve(report.curve);
  (report.lines || []).forEach(drawLines);
  report.panes.forEach(drawPane);
  const ends = charts.map((chart) => [chart.data[0][0], chart.data[0][chart.data[0].length - 1]]);
  if (ends.length) {
    domain = [Math.min(...ends.map((end) => end[0])), Math.max(...ends.map((end) => end[1]))];
    zoom(...domain);
  }
  resetButton?.addEventListener("click", () => zoom(...domain));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.redraw(false, true)));
  document.documentElement.dataset.charts = String(charts.length);
})();
