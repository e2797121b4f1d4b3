"use strict";
// What the other scripts share: the data, looks, and formatting.

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

// trouble shows that a script failed, instead of a page that silently lacks plots.
function trouble(what) {
  const p = document.getElementById("trouble");
  p.hidden = false;
  p.textContent += "A script failed: " + what + " ";
}
addEventListener("error", (e) => trouble(e.message));
addEventListener("unhandledrejection", (e) => trouble(String(e.reason)));

function element(name, className, text) {
  const e = document.createElement(name);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// key is a copy of an engine's key as the template drew it.
const key = (engine) => document.querySelector(`.key[data-e="${engine}"]`).cloneNode(true);

// looks are an engine's color, dash and marker: the style sheet and the page's
// symbols define them, for the theme that is on.
const marks = new Map();
function looks(engine) {
  const svg = document.querySelector(`.key[data-e="${engine}"]`);
  const style = getComputedStyle(svg);
  const id = svg.querySelector("use").getAttribute("href");
  if (!marks.has(id)) marks.set(id, new Path2D(document.querySelector(id + " path").getAttribute("d")));
  const dash = style.getPropertyValue("--dash").trim();
  return {
    color: style.getPropertyValue("--color").trim(),
    dash: dash === "none" ? [] : dash.split(/\s+/).map(Number),
    mark: marks.get(id),
  };
}
const themeColor = (name) => getComputedStyle(root).getPropertyValue(name).trim();

// digits formats with about three significant digits, as the tables do.
function digits(v) {
  const a = Math.abs(v);
  if (!Number.isFinite(v)) return "–";
  if (a >= 99.95 || v === 0) return v.toFixed(0);
  if (a >= 9.995) return v.toFixed(1);
  if (a >= 0.0995) return v.toFixed(2);
  return v.toFixed(Math.min(20, 1 - Math.floor(Math.log10(a))));
}
function scaled(v, base, units) {
  let i = 0;
  while (i < units.length - 1 && Math.abs(v) >= 0.9995 * base) (v /= base), i++;
  return [v, units[i]];
}
const rate = (v) => scaled(v, 1000, ["", " k", " M", " G"]);
const time = (v) => scaled(v, 1000, [" µs", " ms", " s"]);
const precise = ([v, unit]) => digits(v) + unit;
const round = ([v, unit]) => Number(v.toPrecision(3)) + unit; // for ticks

// Theme: the system's, or the reader's choice.
function setTheme(theme) {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
}
