// Wires the page: what needs scripts appears, controls act, plots are drawn.

all(".js").forEach((e) => (e.hidden = false));

function remembered(name, value) {
  try { // storage may be forbidden for files
    if (value !== undefined) localStorage.setItem(name, value);
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

for (const radio of all("input[name=theme]")) {
  radio.addEventListener("change", () => {
    remembered("kvbench-theme", radio.value);
    setTheme(radio.value);
    drawPlots();
  });
  if (radio.value === remembered("kvbench-theme")) {
    radio.checked = true;
    setTheme(radio.value);
  }
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawPlots());

document.getElementById("copy").addEventListener("click", async (event) => {
  const button = event.currentTarget, code = document.getElementById("command");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "copied";
  } catch { // not allowed here: leave it selected
    getSelection().selectAllChildren(code);
    button.textContent = "selected";
  }
  setTimeout(() => (button.textContent = "copy"), 2000);
});

const baseline = document.getElementById("baseline");
if (baseline) {
  baseline.addEventListener("change", () => drawRatios(Number(baseline.value)));
  const column = document.getElementById("column");
  const narrow = matchMedia("(max-width: 800px)");
  const choose = () => {
    const only = narrow.matches ? column.value : "";
    for (const cell of all(".ratios [data-m]")) cell.classList.toggle("off", only !== "" && cell.dataset.m !== only);
  };
  column.value = "0";
  column.addEventListener("change", choose);
  narrow.addEventListener("change", choose);
  drawRatios(Number(baseline.value));
  choose();
}

for (const button of all(".toggle")) {
  button.addEventListener("click", () => {
    const engine = Number(button.dataset.e);
    const on = !shown.engines.delete(engine);
    if (on) shown.engines.add(engine);
    button.setAttribute("aria-pressed", String(on));
    drawPlots();
  });
}

const rounds = document.getElementById("rounds");
const numbers = new Set(data.panels.flatMap((p) => p.lines.map((l) => l.r)));
for (const r of [...numbers].sort((a, b) => a - b)) rounds.add(new Option("round " + r, r));
rounds.addEventListener("change", () => {
  shown.rounds = rounds.value;
  drawPlots((div) => div.dataset.plot === "time");
});

const series = document.getElementById("series");
function nameSeries() {
  all(".series-name").forEach((e) => (e.textContent = seriesTitles[shown.series]));
  all(".unit").forEach((e) => (e.textContent = seriesUnits[shown.series]));
}
series.addEventListener("change", () => {
  shown.series = series.value;
  nameSeries();
  drawPlots((div) => div.dataset.plot === "time");
});
nameSeries();

const spread = document.getElementById("spread");
spread.addEventListener("change", () => {
  shown.spread = spread.checked;
  drawPlots((div) => div.dataset.plot === "percentiles");
});

// Kinds of operations: named if there is one, chosen if there are more.
for (const figure of all("figure")) {
  const place = figure.querySelector(".kinds"), div = figure.querySelector(".plot");
  const panel = Number(div.dataset.p);
  if (!place) continue;
  const names = data.panels[panel].kinds.map((k) => k.name);
  if (names.length === 1) {
    place.textContent = names[0];
    continue;
  }
  const select = element("select");
  select.setAttribute("aria-label", "kind of operation");
  names.forEach((name, i) => select.add(new Option(name, i)));
  select.addEventListener("change", () => {
    kindOf[panel] = Number(select.value);
    for (const other of all("figure select", figure.parentElement)) other.value = select.value;
    drawPlots((d) => Number(d.dataset.p) === panel && d.dataset.plot !== "time");
  });
  place.append(select);
}

for (const div of all(".plot")) {
  const caption = div.parentElement.querySelector("figcaption").textContent;
  div.setAttribute("role", "img");
  div.setAttribute("aria-label", caption + ". The figures are in the table below; the arrow keys read values.");
  div.addEventListener("keydown", onKey);
}
drawPlots();

let resized;
new ResizeObserver(() => {
  clearTimeout(resized);
  resized = setTimeout(() => {
    for (const [div, u] of live) if (div.clientWidth && div.clientWidth !== u.width) u.setSize({ width: div.clientWidth, height: u.height });
  }, 100);
}).observe(document.querySelector("main"));

// Paper is light, and cannot unfold anything.
let before;
addEventListener("beforeprint", () => {
  before = { theme: root.dataset.theme || "auto", folded: all("details:not([open])") };
  before.folded.forEach((d) => (d.open = true));
  setTheme("light");
  all(".plot").forEach(drawPlot);
});
addEventListener("afterprint", () => {
  before.folded.forEach((d) => (d.open = false));
  setTheme(before.theme);
  drawPlots();
});
