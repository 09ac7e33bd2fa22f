"use strict";
// Lines over steps on a canvas. A million points are drawn as the lowest and highest value of each pixel column, so no peak is lost.

function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential(2);
  return size >= 1000 ? value.toFixed(0) : String(+value.toPrecision(4));
}

// Round values between low and high, about `count` of them.
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw), out = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-9 && out.length < 50; t += step) out.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  return out;
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

class Chart {
  // series: [{word, color, xs, ys, dots}]; band: [low, high] or null, both in units of y; outside it, points of the series `judged` are marked.
  constructor(box, options) {
    Object.assign(this, { series: [], band: null, judged: 0, log: false, group: null }, options);
    this.box = box;
    box.className = "chart";
    this.top = box.appendChild(document.createElement("div"));
    this.top.className = "top";
    this.canvas = box.appendChild(document.createElement("canvas"));
    this.readout = box.appendChild(document.createElement("div"));
    this.readout.className = "read";
    this.range = null;
    this.pending = false;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.listen();
  }

  label() {
    this.top.replaceChildren();
    const add = (tag, text, color) => {
      const one = this.top.appendChild(document.createElement(tag));
      one.textContent = text;
      if (color) one.style.color = `var(${color})`;
      return one;
    };
    add("b", word(this.word));
    if (this.series.length > 1) for (const s of this.series) if (s.xs.length) add("i", `— ${s.name || word(s.word)}`, s.color);
    if (this.band) add("i", this.band[0] > 0 ? `${number(this.band[0])} – ${number(this.band[1])}` : `< ${number(this.band[1])}`);
    const log = add("button", word("log"));
    log.type = "button";
    log.setAttribute("aria-pressed", this.log);
    log.onclick = () => {
      this.log = !this.log;
      this.label();
      this.draw();
    };
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", word(this.word));
    this.canvas.title = word("hint");
  }

  listen() {
    let from = null;
    const at = event => event.clientX - this.canvas.getBoundingClientRect().left;
    this.canvas.onpointerdown = event => {
      from = at(event);
      this.canvas.setPointerCapture(event.pointerId);
    };
    this.canvas.onpointermove = event => {
      this.cursor = at(event);
      this.selection = from !== null && Math.abs(at(event) - from) > 4 ? [from, at(event)] : null;
      this.draw();
    };
    this.canvas.onpointerup = () => {
      if (this.selection && this.scale) {
        const [a, b] = this.selection.map(p => this.scale.x_of(p)).sort((p, q) => p - q);
        if (b > a) this.zoom([a, b]);
      }
      from = this.selection = null;
    };
    this.canvas.onpointercancel = () => { from = this.selection = null; };
    this.canvas.onpointerleave = () => {
      this.cursor = null;
      this.draw();
    };
    this.canvas.ondblclick = () => this.zoom(null);
    this.canvas.onwheel = event => {
      if (!event.ctrlKey || !this.scale) return;
      event.preventDefault();
      const x = this.scale.x_of(at(event)), f = event.deltaY > 0 ? 1.25 : 0.8;
      this.zoom([x - (x - this.scale.left) * f, x + (this.scale.right - x) * f]);
    };
  }

  zoom(range) {
    for (const chart of this.group || [this]) {
      chart.range = range;
      chart.draw();
    }
  }

  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.paint();
    });
  }

  // What is seen: bounds of x, and of y within them.
  bounds() {
    let left = Infinity, right = -Infinity, low = Infinity, high = -Infinity;
    for (const s of this.series) {
      if (!s.xs.length) continue;
      left = Math.min(left, s.xs[0]);
      right = Math.max(right, s.xs[s.xs.length - 1]);
    }
    if (this.range) [left, right] = this.range;
    if (!(left < right)) [left, right] = Number.isFinite(left) ? [left - 1, left + 1] : [0, 1];
    for (const s of this.series) {
      for (let i = lower(s.xs, left); i < s.xs.length && s.xs[i] <= right; ++i) {
        const y = s.ys[i];
        if (y === null || !Number.isFinite(y) || (this.log && y <= 0)) continue;
        if (y < low) low = y;
        if (y > high) high = y;
      }
    }
    if (!(low <= high)) [low, high] = this.band || [0, 1];
    if (this.band && !this.range) {
      high = Math.max(high, this.band[1]);
      low = Math.min(low, this.band[0]);
    }
    if (this.log) low = Math.max(low, high * 1e-12) || 1e-12;
    return { left, right, low, high };
  }

  paint() {
    const ratio = window.devicePixelRatio || 1, width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    if (!width || !height) return;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext("2d"), css = getComputedStyle(document.documentElement), color = name => css.getPropertyValue(name).trim();
    pen.scale(ratio, ratio);
    pen.font = "11px system-ui, sans-serif";
    const b = this.bounds(), to = this.log ? Math.log10 : y => y;
    let low = to(b.low), high = to(b.high);
    const margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    low -= margin;
    high += margin;
    const x0 = 52, x1 = width - 8, y0 = 6, y1 = height - 20;
    const px = x => x0 + (x - b.left) / (b.right - b.left) * (x1 - x0), py = y => y1 - (to(y) - low) / (high - low) * (y1 - y0);
    this.scale = { left: b.left, right: b.right, x_of: p => b.left + (Math.min(Math.max(p, x0), x1) - x0) / (x1 - x0) * (b.right - b.left) };
    if (this.band) {
      const top = Math.max(y0, py(this.band[1])), bottom = this.band[0] > 0 || !this.log ? Math.min(y1, py(Math.max(this.band[0], this.log ? 1e-300 : -Infinity))) : y1;
      pen.fillStyle = color("--band");
      if (bottom > top) pen.fillRect(x0, top, x1 - x0, bottom - top);
    }
    pen.strokeStyle = color("--line");
    pen.fillStyle = color("--faint");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const t of ticks(low, high, 4)) {
      const y = y1 - (t - low) / (high - low) * (y1 - y0);
      pen.beginPath();
      pen.moveTo(x0, y);
      pen.lineTo(x1, y);
      pen.stroke();
      pen.fillText(number(this.log ? 10 ** t : t), x0 - 5, y);
    }
    pen.textAlign = "center";
    for (const t of ticks(b.left, b.right, Math.max(2, width / 110))) {
      const half = pen.measureText(number(t)).width / 2;
      pen.fillText(number(t), Math.min(Math.max(px(t), x0 + half), width - half - 1), height - 8);
    }
    pen.save();
    pen.beginPath();
    pen.rect(x0, y0, x1 - x0, y1 - y0);
    pen.clip();
    this.series.forEach((s, index) => this.line(pen, s, color, b, px, py, index === this.judged));
    if (this.selection) {
      pen.fillStyle = color("--band");
      pen.fillRect(Math.min(...this.selection), y0, Math.abs(this.selection[1] - this.selection[0]), y1 - y0);
    }
    pen.restore();
    this.read(pen, color, px, y0, y1);
  }

  line(pen, s, color, b, px, py, judged) {
    const first = Math.max(0, lower(s.xs, b.left) - 1), last = Math.min(s.xs.length, lower(s.xs, b.right) + 1), marks = [];
    pen.strokeStyle = color(s.color);
    pen.lineWidth = s.thin ? 1 : 1.8;
    pen.beginPath();
    let open = false, column = null, lowest = 0, highest = 0, leaving = 0;
    const finish = () => {
      if (column === null) return;
      if (open) pen.lineTo(column, lowest);
      else pen.moveTo(column, lowest);
      if (highest !== lowest) pen.lineTo(column, highest);
      if (leaving !== highest) pen.lineTo(column, leaving);
      open = true;
      column = null;
    };
    for (let i = first; i < last; ++i) {
      const y = s.ys[i];
      if (y === null || !Number.isFinite(y) || (this.log && y <= 0)) {
        finish();
        open = false;
        if (judged) marks.push([px(s.xs[i]), null]);
        continue;
      }
      const at = Math.round(px(s.xs[i])), value = py(y);
      if (judged && this.band && (y < this.band[0] || y > this.band[1])) {
        const previous = marks[marks.length - 1];
        if (!previous || previous[0] !== at || Math.abs(previous[1] - value) > 1) marks.push([at, value]);
      }
      if (at === column) {
        lowest = Math.min(lowest, value);
        highest = Math.max(highest, value);
        leaving = value;
      } else {
        finish();
        column = at;
        lowest = highest = leaving = value;
      }
    }
    finish();
    pen.stroke();
    pen.fillStyle = color(s.color);
    if (s.dots || last - first < 3) for (let i = first; i < last; ++i) if (Number.isFinite(s.ys[i]) && s.ys[i] !== null) this.dot(pen, px(s.xs[i]), py(s.ys[i]), 2.6);
    pen.fillStyle = color("--bad");
    for (const [x, y] of marks) this.dot(pen, x, y === null ? 10 : y, 2.4);
  }

  dot(pen, x, y, radius) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fill();
  }

  // The values nearest to the pointer, under the chart.
  read(pen, color, px, y0, y1) {
    if (this.cursor === null || this.cursor === undefined) {
      this.readout.textContent = "";
      return;
    }
    const x = this.scale.x_of(this.cursor), words = [];
    let nearest = null;
    for (const s of this.series) {
      if (!s.xs.length) continue;
      let i = Math.min(lower(s.xs, x), s.xs.length - 1);
      if (i > 0 && x - s.xs[i - 1] < s.xs[i] - x) --i;
      if (nearest === null) nearest = s.xs[i];
      words.push(`${s.name || word(s.word)} ${number(s.ys[i])}`);
    }
    if (nearest === null) return;
    pen.strokeStyle = color("--faint");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(px(nearest), y0);
    pen.lineTo(px(nearest), y1);
    pen.stroke();
    this.readout.textContent = `${word(this.unit || "step")} ${number(nearest)}: ${words.join(" · ")}`;
  }
}
