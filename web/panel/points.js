"use strict";
// Points of a run: how their numbers are written, and which of them are drawn.

function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential(2);
  return size >= 1000 ? value.toFixed(0) : String(+value.toPrecision(4));
}

// What is written at the lines of an axis that are `step` apart: as many digits as tell them from each other; steps in thousands and millions.
const INTEGERS = [...Array(16).keys()].flatMap(e => [1, 2, 5].map(m => m * 10 ** e));
const short = (x, step) => step >= 1e5 && x ? +(x / 1e6).toFixed(3) + "M" : step >= 1000 && x ? +(x / 1000).toFixed(3) + "k" : String(x);
function tick(y, step) {
  const size = Math.floor(Math.log10(Math.abs(y) || 1)), digits = Math.min(Math.max(1 - Math.floor(Math.log10(step)), 0), 12);
  return size < -3 || size > 5 ? y.toExponential(Math.min(Math.max(size + digits, 0), 6)).replace(/\.?0+e/, "e") : String(+y.toFixed(digits));
}

// Where a logarithmic axis has its lines: at powers of ten, and at what lies between them where they are few.
function powers(low, high) {
  const decades = Math.log10(high / low), out = [];
  const between = decades < 1 ? [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8] : decades < 2.5 ? [1, 2, 5] : [1];
  for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e += Math.ceil(decades / 6)) out.push(...between.map(m => +(m * 10 ** e).toPrecision(6)));
  return out.filter(t => t >= low && t <= high);
}

// First index whose x is at least `x`; xs rises.
function lower(xs, x) {
  let low = 0, high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Points `from` to `to` of a series as they are drawn: per column of `width` (in units of x) its lowest, its highest, and one that cannot be drawn (a gap), in their order.
// Columns lie at multiples of their width, so that points which are appended change the last column alone: the rest is kept.
function thinned(series, from, to, width, log) {
  const { xs, ys } = series, key = [from, width, log].join();
  let kept = series.thinned;
  if (!kept || kept.key !== key || kept.to > to) kept = series.thinned = { key, to: from, column: from, before: 0, xs: [], ys: [] };
  if (kept.to === to) return kept;
  kept.xs.length = kept.ys.length = kept.before;
  for (let i = kept.column; i < to;) {
    kept.column = i;
    kept.before = kept.xs.length;
    const end = (Math.floor(xs[i] / width) + 1) * width;
    let low = -1, high = -1, gap = -1;
    do {
      const y = ys[i];
      if (y === null || !Number.isFinite(y) || (log && y <= 0)) gap = i;
      else {
        if (low < 0 || y < ys[low]) low = i;
        if (high < 0 || y > ys[high]) high = i;
      }
    } while (++i < to && xs[i] < end);
    for (const k of new Set([low, high, gap].sort((a, b) => a - b))) {
      if (k < 0) continue;
      kept.xs.push(xs[k]);
      kept.ys.push(k === gap ? null : ys[k]);
    }
  }
  kept.to = to;
  return kept;
}
