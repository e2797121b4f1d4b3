// The summary: ratios to the baseline that the reader chooses.

const verdicts = [
  { word: "unclear", glyph: "○", className: "unclear" },
  { word: "better", glyph: "▲", className: "better" },
  { word: "worse", glyph: "▼", className: "worse" },
  { word: "one round", glyph: "·", className: "unclear" },
];

// ticks are what an axis may be labelled with, and its mirror image below 1.
const ratioTicks = [1.02, 1.05, 1.1, 1.2, 1.5, 2, 3, 5, 10, 30, 100, 1e3, 1e4, 1e6];

// halfAxis is the logarithm that is at the right end of a column's axis; 1 is in
// the middle. All points are inside; intervals that are much wider are cut off.
function halfAxis(rows) {
  let points = 0, intervals = 0;
  for (const [, , , value, low, high] of rows) {
    points = Math.max(points, Math.abs(Math.log(value)));
    if (low !== undefined) intervals = Math.max(intervals, Math.abs(Math.log(low)) || 0, Math.abs(Math.log(high)) || 0);
  }
  const most = Math.max(2 * points, Math.log(4));
  return Math.max(Math.log(1.1), 1.1 * points, Math.min(1.1 * intervals, most));
}

function drawRatios(baseline) {
  const of = data.ratios[baseline];
  all(".base-name").forEach((e) => (e.textContent = data.engines[baseline]));
  for (const table of all("table.ratios")) {
    const bodies = all("tbody", table);
    const rows = bodies.flatMap((b) => of[b.dataset.p]);
    const half = data.metrics.map((_, m) => halfAxis(rows.filter((r) => r[1] === m)));
    for (const th of all("th[data-m]", table)) drawAxis(th.querySelector(".axis"), half[th.dataset.m]);
    for (const body of bodies) {
      for (const tr of all("tr", body)) {
        for (const td of all("td[data-m]", tr)) {
          const [engine, metric] = [Number(tr.dataset.e), Number(td.dataset.m)];
          const row = of[body.dataset.p].find((r) => r[0] === engine && r[1] === metric);
          if (engine === baseline) drawBaseline(td, data.panels[body.dataset.p].values[engine][metric]);
          else drawCell(td, row, half[metric]);
        }
      }
    }
  }
  drawScore(baseline);
}

function placed(className, left, width) {
  const e = element("i", className);
  e.style.left = left + "%";
  if (width !== undefined) e.style.width = width + "%";
  return e;
}

function drawAxis(axis, half) {
  axis.replaceChildren();
  const tick = ratioTicks.findLast((t) => Math.log(t) <= 0.9 * half) || ratioTicks[0];
  for (const t of [1 / tick, 1, tick]) {
    const label = placed("", 50 + (50 * Math.log(t)) / half);
    label.textContent = t === 1 ? "1" : digits(t).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
    axis.append(label);
  }
}

// drawBaseline shows what the others are divided by.
function drawBaseline(td, value) {
  td.textContent = value || "–";
  td.classList.add("base");
}

// bound is an end of an interval; null stands for infinity.
const bound = (v) => (v === null || v > 100 ? ">100" : v < 0.01 ? "<0.01" : digits(v));

function drawCell(td, row, half) {
  td.replaceChildren();
  td.classList.remove("base");
  if (!row) {
    td.append(element("span", "none", "–"));
    return;
  }
  const [, , v, value, low, high] = row;
  const verdict = verdicts[v];
  const at = (x) => 50 + (50 * Math.log(x)) / half;
  const track = element("span", "track");
  track.append(placed("one", 50));
  if (low !== undefined) {
    const from = Math.max(0, at(Math.max(low, 1e-9))), to = Math.min(100, at(high === null ? 1e9 : high));
    const whisker = placed("whisker", from, Math.max(0, to - from));
    whisker.classList.toggle("cut-left", from === 0);
    whisker.classList.toggle("cut-right", to === 100);
    track.append(whisker);
  }
  track.append(placed("dot " + verdict.className, at(value)));
  td.append(track, element("span", "r " + verdict.className, digits(value) + "×"), " ",
    element("span", "v", verdict.glyph + " " + verdict.word));
  if (low !== undefined) td.append(element("small", "", bound(low) + "–" + bound(high)));
}

// drawScore counts verdicts over all workloads and sets.
function drawScore(baseline) {
  const table = element("table", "plain score");
  const caption = element("p", "quiet", "Workloads in which an engine is better, unclear or worse than " + data.engines[baseline] + ", over all sets:");
  const head = table.createTHead().insertRow();
  head.append(element("th", "", "engine"));
  data.metrics.forEach((m) => head.append(element("th", "", m.title)));
  const body = table.createTBody();
  data.engines.forEach((name, e) => {
    if (e === baseline) return;
    const tr = body.insertRow();
    const th = element("th");
    th.scope = "row";
    th.append(key(e), name);
    tr.append(th);
    data.metrics.forEach((_, m) => {
      const counts = [0, 0, 0, 0];
      data.ratios[baseline].flat().forEach((r) => r[0] === e && r[1] === m && counts[r[2]]++);
      const td = tr.insertCell();
      for (const v of counts[3] ? [1, 0, 2, 3] : [1, 0, 2]) {
        const s = element("span", counts[v] ? verdicts[v].className : "zero", verdicts[v].glyph + " " + counts[v]);
        s.title = counts[v] + " " + verdicts[v].word;
        s.setAttribute("aria-label", s.title);
        td.append(s, " ");
      }
    });
  });
  const score = document.getElementById("score");
  const scroll = element("div", "scroll");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "verdicts");
  scroll.append(table);
  score.replaceChildren(caption, scroll);
}
