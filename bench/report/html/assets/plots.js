// The plots of panels. A plot is made of strands: one line each, with its own xs.

// shown is what the reader chose to see.
const shown = { engines: new Set(data.engines.keys()), rounds: "all", series: "v", spread: true };
const kindOf = data.panels.map(() => 0); // the chosen kind of each panel
const seriesTitles = { v: "Throughput", p: "p99 latency of each second", x: "Longest latency of each second" };
const seriesUnits = { v: "operations per second", p: "logarithmic", x: "logarithmic" };

// nines is where a percentile stands: 0 at 0, 90 at 1, 99 at 2, 99.9 at 3. The
// maximum, which would be infinitely far, has a place after 99.99.
const maxAt = 4.7;
const nines = (percent) => (percent >= 100 ? maxAt : -Math.log10(1 - percent / 100));
const ninesTicks = [50, 90, 99, 99.9, 99.99, 100];

const font = '11px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';

function axis(more) {
  return Object.assign({
    font, stroke: () => themeColor("--quiet"), size: 52, gap: 4,
    grid: { stroke: () => themeColor("--grid"), width: 1 },
    ticks: { stroke: () => themeColor("--grid"), width: 1, size: 4 },
  }, more);
}

const bottomAxis = (label, more) => axis(Object.assign({ size: 30, label, labelFont: font, labelSize: 18, labelGap: 0 }, more));

// logTicks are powers of ten, with 2 and 5 between them where the scale is short.
function logTicks(u, index, min, max) {
  const steps = Math.log10(max / min) > 2.5 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++) {
    for (const s of steps) {
      const t = s * 10 ** power;
      if (t >= min * 0.999 && t <= max * 1.001) ticks.push(t);
    }
  }
  return ticks;
}
const logScale = { distr: 3, range: (u, min, max) => (min > 0 ? [min / 1.15, max * 1.15] : [1, 10]) };
const logAxis = { splits: logTicks, filter: (u, ticks) => ticks, values: (u, ticks) => ticks.map((t) => round(time(t))) };

// A timePlot has a strand for each engine and round; rounds that the reader did
// not choose are faint or missing.
function timePlot(panel) {
  const strands = [], stalls = [];
  let end = 0;
  for (const line of data.panels[panel].lines) {
    const bold = shown.rounds === "all" || shown.rounds === "median" ? line.m : line.r === Number(shown.rounds);
    if (!shown.engines.has(line.e) || !(bold || shown.rounds === "all")) continue;
    // A value is that of a whole second: the line begins with the first one and
    // ends with the last, not in their middles.
    const values = line[shown.series], n = line.t.length;
    strands.push({
      engine: line.e, bold,
      x: n ? [0, ...line.t, line.d] : [], y: n ? [values[0], ...values, values[n - 1]] : [],
      marked: n < 40 ? line.t.map((_, i) => i + 1) : [],
    });
    end = Math.max(end, line.d);
    if (bold && line.s) stalls.push({ engine: line.e, round: line.r, list: line.s });
  }
  const flow = shown.series === "v";
  return {
    strands, stalls, height: 250,
    scales: {
      x: { time: false, range: (u, min, max) => (min > 0 || (max > 0 && max < end) ? [min, max] : [0, end || 1]) },
      y: flow ? { range: (u, min, max) => [0, (max || 1) * 1.05] } : logScale,
    },
    axes: [
      bottomAxis("seconds", { values: (u, ticks) => ticks.map((t) => String(Number(t.toPrecision(6)))) }),
      flow ? axis({ values: (u, ticks) => ticks.map((t) => round(rate(t))) }) : axis(logAxis),
    ],
    where: (x) => "at " + digits(x) + " s",
    value: (s, x) => precise(flow ? rate(nearest(s, x)) : time(nearest(s, x))),
    also: (x, u) => stallsAt(stalls, x, u),
  };
}

function curves(panel) {
  const kind = data.panels[panel].kinds[kindOf[panel]];
  return kind.curves.filter((c) => shown.engines.has(c.e));
}

function percentilesPlot(panel) {
  const from = data.percents.findIndex((p) => p >= 10); // the fastest are far below
  const x = data.percents.slice(from).map(nines);
  const marked = ninesTicks.map((p) => data.percents.indexOf(p) - from).filter((i) => i >= 0);
  const strands = curves(panel).map((c) => ({
    engine: c.e, x, y: c.v.slice(from), bold: true, marked,
    low: shown.spread ? c.l?.slice(from) : undefined, high: c.h?.slice(from),
  }));
  return {
    strands, stalls: [], height: 250,
    scales: { x: { time: false, range: (u, min, max) => [Math.min(min, 0), Math.max(max, maxAt) === maxAt ? maxAt + 0.1 : max] }, y: logScale },
    axes: [
      bottomAxis("percentile (100: the longest)", {
        splits: () => ninesTicks.map(nines), filter: (u, ticks) => ticks,
        values: () => ninesTicks.map((p) => (String(p))),
      }),
      axis(logAxis),
    ],
    where: (at) => {
      const p = at > 4.2 ? 100 : Math.max(0, 100 - 100 * 10 ** -at);
      return p === 100 ? "maximum" : "p" + (p < 90 ? p.toFixed(0) : p < 99 ? p.toFixed(1) : p.toFixed(3));
    },
    value: (s, at) => precise(time(nearest(s, at))),
  };
}

function cdfPlot(panel) {
  const strands = curves(panel).map((c) => {
    const x = [], y = [];
    c.v.forEach((v, i) => {
      if (v <= 0) return; // a logarithmic axis has no 0
      if (x[x.length - 1] === v) y[y.length - 1] = data.percents[i];
      else x.push(v), y.push(data.percents[i]);
    });
    const marked = [50, 90, 99].map((p) => y.indexOf(p)).filter((i) => i >= 0);
    return { engine: c.e, x, y, bold: true, marked };
  });
  return {
    strands, stalls: [], height: 250,
    scales: { x: Object.assign({ time: false }, logScale), y: { range: () => [0, 101] } },
    axes: [
      bottomAxis("latency, logarithmic", logAxis),
      axis({ splits: () => [0, 25, 50, 75, 90, 100], filter: (u, ticks) => ticks, values: (u, ticks) => ticks.map((t) => t + " %") }),
    ],
    where: (x) => "at most " + precise(time(x)),
    value: (s, x) => {
      let i = s.x.findLastIndex((v) => v <= x);
      return i < 0 ? "0 %" : digits(s.y[i]) + " %";
    },
  };
}

// nearest is a strand's value next to x.
function nearest(s, x) {
  let best = 0;
  for (let i = 1; i < s.x.length; i++) if (Math.abs(s.x[i] - x) < Math.abs(s.x[best] - x)) best = i;
  const y = s.y[best];
  return y === null || y === undefined ? NaN : y;
}

function stallsAt(stalls, x, u) {
  const near = u.posToVal(4, "x") - u.posToVal(0, "x");
  const texts = [];
  for (const lane of stalls) {
    for (const s of lane.list) {
      if (x >= s.t - near && x <= s.t + s.d + near) {
        texts.push(`${data.engines[lane.engine]} stalled for ${precise(time(s.d * 1e6))} at ${digits(s.t)} s: ${s.b || "busy with what it did not tell"}`);
      }
    }
  }
  return texts;
}

const kindsOfPlots = { time: timePlot, percentiles: percentilesPlot, cdf: cdfPlot };
const live = new Map(); // plot element → uPlot

function drawPlot(div) {
  live.get(div)?.destroy();
  const panel = Number(div.dataset.p);
  const plot = kindsOfPlots[div.dataset.plot](panel);
  const series = [{}], tables = [], bands = [];
  const add = (s, y, more) => {
    tables.push([s.x, y]);
    series.push(Object.assign({ points: { show: false }, spanGaps: false }, more));
  };
  plot.strands.forEach((s) => {
    const { color, dash } = looks(s.engine);
    if (s.low && s.high) {
      add(s, s.high, { width: 0, stroke: "transparent" });
      add(s, s.low, { width: 0, stroke: "transparent" });
      bands.push({ series: [series.length - 2, series.length - 1], fill: color + "22" });
    }
    s.index = series.length;
    add(s, s.y, { stroke: color, width: s.bold ? 1.75 : 1, alpha: s.bold ? 1 : 0.3, dash: s.bold ? dash : [] });
  });
  const lanes = plot.stalls.length;
  const u = new uPlot({
    width: div.clientWidth || 300, height: plot.height, series, bands,
    scales: plot.scales, axes: plot.axes,
    padding: [lanes ? 8 + 7 * lanes : 8, 14, 0, 0],
    legend: { show: false },
    cursor: { points: { show: false }, y: false, drag: { x: true, y: false } },
    hooks: {
      drawSeries: [(u, i) => drawMarks(u, plot.strands.find((s) => s.index === i))],
      draw: [(u) => drawStalls(u, plot.stalls), () => (div.dataset.drawn = plot.strands.filter((s) => s.x.length).length)],
      setCursor: [(u) => readOut(div, u, plot)],
    },
  }, tables.length ? uPlot.join(tables) : [[], []].slice(0, series.length), div);
  live.set(div, u);
  readOut(div, u, plot);
}

// drawMarks puts the engine's marker on the points of a strand that are to have
// one.
function drawMarks(u, strand) {
  if (!strand || !strand.bold || !strand.marked) return;
  const { color, mark } = looks(strand.engine);
  const { ctx, bbox } = u;
  ctx.save();
  ctx.fillStyle = color;
  for (const i of strand.marked) {
    if (strand.y[i] === null || strand.y[i] === undefined) continue;
    const x = u.valToPos(strand.x[i], "x", true), y = u.valToPos(strand.y[i], "y", true);
    if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1 || y < bbox.top - 1 || y > bbox.top + bbox.height + 1) continue;
    ctx.save();
    ctx.translate(x, y);
    ctx.scale(0.75 * uPlot.pxRatio, 0.75 * uPlot.pxRatio);
    ctx.fill(mark);
    ctx.restore();
  }
  ctx.restore();
}

// drawStalls marks stalls above the plot, in one lane for each engine, and shades
// the plot below them.
function drawStalls(u, stalls) {
  const { ctx, bbox } = u;
  const px = uPlot.pxRatio;
  ctx.save();
  stalls.forEach((lane, n) => {
    const { color, mark } = looks(lane.engine);
    ctx.fillStyle = color;
    const y = bbox.top - (4 + 7 * (stalls.length - n)) * px;
    ctx.globalAlpha = 1;
    ctx.save();
    ctx.translate(bbox.left - 7 * px, y + 2.5 * px);
    ctx.scale(0.6 * px, 0.6 * px);
    ctx.fill(mark);
    ctx.restore();
    for (const s of lane.list) {
      const from = Math.max(u.valToPos(s.t, "x", true), bbox.left);
      const to = Math.min(u.valToPos(s.t + s.d, "x", true), bbox.left + bbox.width);
      if (to < from) continue;
      const width = Math.max(to - from, 2 * px);
      ctx.globalAlpha = 1;
      ctx.fillRect(from, y, width, 5 * px);
      ctx.globalAlpha = 0.08;
      ctx.fillRect(from, bbox.top, width, bbox.height);
    }
  });
  if (stalls.length) {
    ctx.globalAlpha = 1;
    ctx.fillStyle = themeColor("--quiet");
    ctx.font = font.replace("11px", 11 * px + "px");
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    ctx.fillText("stalls", bbox.left - 14 * px, bbox.top - (4.5 + 3.5 * stalls.length) * px);
  }
  ctx.restore();
}

// readOut writes the values at the cursor below the plot.
function readOut(div, u, plot) {
  const out = div.nextElementSibling;
  const left = u.cursor.left;
  out.replaceChildren();
  if (left === undefined || left === null || left < 0) {
    if (!plot.strands.length) out.append("No engine is chosen that has data.");
    return;
  }
  const x = u.posToVal(left, "x");
  out.append(element("span", "where", plot.where(x)));
  for (const s of plot.strands) {
    if (!s.bold || !s.x.length) continue;
    const item = element("span", "item");
    item.append(key(s.engine), data.engines[s.engine] + " ", element("b", "", plot.value(s, x)));
    out.append(item);
  }
  for (const text of plot.also ? plot.also(x, u) : []) out.append(element("span", "stalled", text));
}

// A plot can be read with the keyboard: arrows move the cursor.
function onKey(event) {
  const u = live.get(event.currentTarget);
  if (!u || event.ctrlKey || event.metaKey || event.altKey) return;
  const width = u.bbox.width / uPlot.pxRatio, height = u.bbox.height / uPlot.pxRatio;
  const step = width / 60;
  const left = u.cursor.left >= 0 ? u.cursor.left : event.key === "ArrowLeft" ? width + step : -step;
  const goTo = {
    ArrowLeft: Math.max(0, left - step), ArrowRight: Math.min(width, left + step), Home: 0, End: width, Escape: -10,
  }[event.key];
  if (event.key === "0") u.setData(u.data);
  else if (goTo === undefined) return;
  else u.setCursor({ left: goTo, top: height / 2 });
  event.preventDefault();
}

// drawPlots draws all plots, one after the other so that the page stays usable;
// a later call replaces an earlier one that has not ended.
let drawing = 0;
function drawPlots(only = () => true) {
  const mine = ++drawing;
  const queue = all(".plot").filter(only);
  root.dataset.plots = "drawing";
  const next = () => {
    if (mine !== drawing) return;
    const until = performance.now() + 30;
    while (queue.length && performance.now() < until) drawPlot(queue.shift());
    if (queue.length) setTimeout(next);
    else root.dataset.plots = "drawn";
  };
  next();
}
