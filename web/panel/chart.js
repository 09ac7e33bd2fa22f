"use strict";
// Lines over steps, drawn by uPlot. It is given the points that can be told apart (points.js), so that a million of them do not hold it up.

function dash(color) {
  const one = make("span", "");
  one.style.background = `var(${color})`;
  return one;
}

// One finger selects as the mouse does, two stretch; up and down scrolls the page. A wheel with Ctrl, which is what browsers make of two fingers on a touchpad, stretches too.
function fingers({ over, posToVal, scales, setSelect }, zoom) {
  const down = new Map(), place = event => event.clientX - over.getBoundingClientRect().left;
  const tell = (kind, event) => over.dispatchEvent(new MouseEvent(kind, { clientX: event.clientX, clientY: event.clientY, movementX: 1, bubbles: true }));
  let held = null;
  over.onpointerdown = event => {
    if (event.pointerType !== "touch") return;
    down.set(event.pointerId, place(event));
    if (down.size === 1) return tell("mousedown", event);
    setSelect({ width: 0, height: 0 }, false);
    tell("mouseup", event);
    tell("mouseleave", event);
    held = [...down].map(([id, at]) => [id, posToVal(at, "x")]);
  };
  over.onpointermove = event => {
    if (!down.has(event.pointerId)) return;
    down.set(event.pointerId, place(event));
    if (!held) return tell("mousemove", event);
    const [[p, a], [q, b]] = held.map(([id, x]) => [down.get(id), x]), unit = (b - a) / (q - p), left = a - p * unit;
    if (unit > 0 && Number.isFinite(unit)) zoom([left, left + over.clientWidth * unit]);
  };
  over.onpointerup = over.onpointercancel = event => {
    if (!down.delete(event.pointerId)) return;
    if (event.type === "pointercancel") setSelect({ width: 0, height: 0 }, false);
    if (!held) tell("mouseup", event);
    if (!down.size) held = null;
  };
  over.onwheel = event => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const x = posToVal(place(event), "x"), f = event.deltaY > 0 ? 1.25 : 0.8, { min, max } = scales.x;
    zoom([x - (x - min) * f, x + (max - x) * f]);
  };
}

class Chart {
  // series: [{word, name, color, xs, ys, dots, thin}]; band: [low, high] or null, both in units of y; outside it, points of the series `judged` are marked.
  // group: the charts that are zoomed together, or null; events(): what happened at which step, as [{step, kind, bad}]; zoomed(): called when the range is another.
  constructor(box, options) {
    Object.assign(this, { series: [], band: null, judged: 0, log: false, group: null, range: null, hint: false, events: () => [], zoomed: () => {} }, options);
    box.className = "chart";
    [this.top, this.plot, this.readout] = ["top", "plot", "read"].map(name => box.appendChild(make("div", "", name)));
    this.plot.setAttribute("role", "img");
    this.make();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.plot);
  }

  destroy() {
    this.observer.disconnect();
    this.u.destroy();
    this.u = null;
  }

  make() {
    if (this.u) this.u.destroy();
    const color = name => () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const axis = { stroke: color("--faint"), font: "11px system-ui, sans-serif", ticks: { show: false } };
    this.u = new uPlot({
      width: this.plot.clientWidth || 300, height: this.plot.clientHeight || 200, padding: [10, 16, 0, 0], legend: { show: false },
      scales: { x: { time: false }, y: { distr: this.log ? 3 : 1, range: (u, low, high) => this.bounds(low, high) } },
      axes: [{ ...axis, size: 24, gap: 4, space: 60, grid: { show: false }, incrs: INTEGERS, values: (u, all, i, space, step) => all.map(x => short(x, step)) },
        { ...axis, size: 54, gap: 6, space: 34, grid: { stroke: color("--line"), width: 1 }, filter: (u, all) => all,
          splits: this.log ? (u, i, low, high) => powers(low, high) : undefined, values: (u, all, i, space, step) => all.map(y => this.log ? number(y).replace(/\.?0+e/, "e") : tick(y, step)) }],
      series: [{}, ...this.series.map(s => ({
        stroke: color(s.color), width: s.thin ? 1 : 1.8,
        points: { show: () => s.thinned?.xs.length < (s.dots ? this.plot.clientWidth / 8 : 3), size: 5, fill: color(s.color) },
      }))],
      cursor: {
        y: false, drag: { x: true, y: false, dist: 5, setScale: false }, points: { size: 7 }, bind: { dblclick: () => () => this.zoom(null) },
        sync: this.group ? { key: "steps", scales: ["x", null], filters: { pub: type => type === "mousemove" } } : {},
      },
      hooks: {
        drawClear: [u => this.draw_band(u, color)], draw: [u => this.draw_marks(u, color)], setCursor: [u => this.read(u)],
        setSelect: [u => this.zoom([u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")])],
      },
    }, [[], ...this.series.map(() => [])], this.plot);
    fingers(this.u, range => this.zoom(range));
  }

  // Words, colours: all that is not a value.
  label() {
    this.top.replaceChildren();
    const add = (tag, text, name) => this.top.appendChild(make(tag, text, name));
    add("b", word(this.word));
    for (const s of this.series.length > 1 ? this.series : []) if (s.xs.length) add("i", s.name || word(s.word)).prepend(dash(s.color));
    if (this.band) add("i", this.band[0] > 0 ? `${number(this.band[0])} – ${number(this.band[1])}` : `≤ ${number(this.band[1])}`, "band");
    const log = add("button", word("log"));
    log.type = "button";
    log.setAttribute("aria-pressed", this.log);
    log.onclick = () => {
      this.log = !this.log;
      this.make();
      this.label();
    };
    this.plot.setAttribute("aria-label", word(this.word));
    this.plot.dataset.none = word("empty");
    this.read(this.u);
    this.named = this.filled();
    this.drawn = "";
    this.draw();
  }

  // Of which series there are points.
  filled() { return this.series.map(s => s.xs.length > 0).join(); }

  zoom(range) {
    const [left, right] = this.extent();
    this.u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (range) range = [Math.max(range[0], left), Math.min(range[1], right)];
    if (range && range[1] - range[0] < Math.min(1, (right - left) / 1000)) return;
    if (range && range[0] <= left && range[1] >= right) range = null;
    for (const chart of this.group || [this]) {
      chart.range = range;
      chart.draw();
    }
    this.zoomed();
  }

  // From the first to the last x of all charts that are zoomed together.
  extent() {
    const all = (this.group || [this]).flatMap(chart => chart.series).filter(s => s.xs.length), left = Math.min(...all.map(s => s.xs[0])), right = Math.max(...all.map(s => s.xs[s.xs.length - 1]));
    return left < right ? [left, right] : all.length ? [left - 1, left + 1] : [0, 1];
  }

  draw() {
    if (!this.pending) requestAnimationFrame(() => {
      this.pending = false;
      if (this.u && this.plot.clientWidth && this.plot.clientHeight) this.paint();
    });
    this.pending = true;
  }

  paint() {
    const { u, log } = this, width = this.plot.clientWidth, height = this.plot.clientHeight, [min, max] = this.range || this.extent();
    if (this.filled() !== this.named) return this.label();  // the first validation, say
    if (width !== u.width || height !== u.height) u.setSize({ width, height });
    const column = 2 ** Math.floor(Math.log2((max - min) / Math.max(u.bbox.width, 1)));
    const parts = this.series.map(s => thinned(s, Math.max(0, lower(s.xs, min) - 1), Math.min(s.xs.length, lower(s.xs, max) + 1), column, log));
    const drawn = [min, max, width, height, this.events().length, ...parts.map(p => p.key + p.to)].join();
    if (drawn === this.drawn) return;  // what is new lies elsewhere
    this.drawn = drawn;
    this.plot.classList.toggle("empty", parts.every(p => !p.xs.length));
    u.batch(() => {
      u.setData(parts.length > 1 ? uPlot.join(parts.map(p => [p.xs, p.ys])) : [parts[0].xs, parts[0].ys], false);
      u.setScale("x", { min, max });
    });
  }

  // Of y: around the values that are seen and, of a whole run, around the band.
  bounds(low, high) {
    if (low === null) [low, high] = this.band || [0, 1];
    if (this.band && !this.range) [low, high] = [Math.min(low, this.band[0] > 0 || !this.log ? this.band[0] : low), Math.max(high, this.band[1])];
    if (!this.log) return low === 0 && high === 0 ? [0, 1] : uPlot.rangeNum(low, high, 0.06, true);
    [low, high] = high > 0 ? [low > 0 ? low : high / 100, high] : [0.1, 1];
    const margin = Math.max((high / low) ** 0.06, 1.01);
    return [low / margin, high * margin];
  }

  draw_band(u, color) {
    const { min, max } = u.scales.y, { left, width } = u.bbox, at = y => Math.round(u.valToPos(Math.min(Math.max(y, min), max), "y", true));
    if (!this.band || min === null) return;
    const [low, high] = this.band;
    u.ctx.save();  // uPlot remembers what it set
    u.ctx.fillStyle = color("--band")();
    u.ctx.fillRect(left, at(high), width, at(low) - at(high));
    u.ctx.fillStyle = color("--edge")();
    for (const y of [low, high]) if (y > min && y < max && y > 0) u.ctx.fillRect(left, at(y), width, devicePixelRatio);
    u.ctx.restore();
  }

  // Points out of band, and what happened: a mark at the foot, and a line of what went wrong.
  draw_marks(u, color) {
    const { ctx, bbox } = u, { min, max } = u.scales.x, ratio = devicePixelRatio, x_of = x => Math.round(u.valToPos(x, "x", true)), seen = new Set();
    const points = this.band && this.series[this.judged].thinned || { xs: [] }, radius = points.xs.length * 4 * ratio > bbox.width ? 1.8 * ratio : 2.4 * ratio;
    const good = color("--accent")(), bad = color("--bad")();
    ctx.save();
    for (const e of this.events()) {
      const x = x_of(e.step), foot = bbox.top + bbox.height;
      if (min === null || e.step < min || e.step > max || seen.has(x + e.kind)) continue;
      seen.add(x + e.kind);
      ctx.fillStyle = e.bad ? bad : good;
      ctx.globalAlpha = 0.5;
      if (e.bad) ctx.fillRect(x, bbox.top, ratio, bbox.height);
      ctx.globalAlpha = 1;
      ctx.beginPath();
      ctx.moveTo(x, foot - 6 * ratio);
      ctx.lineTo(x - 3.5 * ratio, foot);
      ctx.lineTo(x + 3.5 * ratio, foot);
      ctx.fill();
    }
    ctx.fillStyle = bad;
    points.xs.forEach((x, i) => {
      const y = points.ys[i];
      if (x < min || x > max || (y !== null && y >= this.band[0] && y <= this.band[1])) return;
      ctx.beginPath();
      ctx.arc(x_of(x), y === null ? bbox.top + 4 * ratio : u.valToPos(y, "y", true), radius, 0, 2 * Math.PI);
      ctx.fill();
    });
    ctx.restore();
  }

  // The values nearest to the pointer, under the chart; of a series that has none at that step, its nearest and where.
  read(u) {
    this.readout.textContent = this.hint ? word(matchMedia("(pointer: coarse)").matches ? "hint_touch" : "hint") : "";
    const x = u.posToVal(u.cursor.left, "x"), at = x => Number.isInteger(x) ? String(x) : x.toFixed(1), words = [];
    let first;
    for (const s of u.cursor.left >= 0 ? this.series : []) {
      if (!s.xs.length) continue;
      let i = Math.min(lower(s.xs, x), s.xs.length - 1);
      if (i > 0 && x - s.xs[i - 1] < s.xs[i] - x) --i;
      first ??= s.xs[i];
      words.push(`${s.name || word(s.word)} ${number(s.ys[i])}${s.xs[i] === first ? "" : ` (${at(s.xs[i])})`}`);
    }
    if (!words.length) return;
    const kinds = new Set(this.events().filter(e => e.step === first).map(e => e.kind));
    this.readout.textContent = `${word(this.unit || "step")} ${at(first)}: ${[...words, ...kinds].join(" · ")}`;
  }
}
