"use strict";
const token = new URLSearchParams(location.hash.slice(1)).get("token");

const empty = () => ({ run: {}, steps: 0, limit: 0, room: false, settings: null, alarms: [], events: [], x: [], loss: [], smoothed: [], grad: [], rate: [], speed: [], memory: [], vx: [], validation: [], wx: [], volatility: [], mx: [], bytes: [], left: null, factor: 1 });
let data = empty(), other = null, live = false, stream = null, sequence = 0, waiting = null, listed = [];
let over = false;  // the run that is followed has ended

// ---- from the server to columns

// Shares are shown in per cent, as the terminal shows them; what is no number stays none.
const percent = share => share === null ? null : 100 * share;

function take_step(d, s) {
  d.x.push(s.step);
  d.loss.push(s.loss);
  d.smoothed.push(s.smoothed_loss);
  d.grad.push(s.grad_norm);
  d.rate.push(s.learning_rate);
  d.speed.push(s.tokens_per_second);
  d.memory.push(s.memory);
}

function from_snapshot(json) {
  const d = empty();
  Object.assign(d, { run: json.run, steps: json.steps, limit: json.memory_limit, room: json.room_helps, settings: json.settings, alarms: json.alarms, events: json.events, left: json.seconds_left, factor: json.rate_factor });
  for (const row of json.points) take_step(d, Object.fromEntries(json.columns.map((name, i) => [name, row[i]])));
  for (const [step, loss] of json.validations) { d.vx.push(step); d.validation.push(loss); }
  for (const [step, value] of json.volatilities) { d.wx.push(step); d.volatility.push(percent(value)); }
  for (const [seconds, bytes] of json.memory) { d.mx.push(seconds); d.bytes.push(bytes); }
  return d;
}

function take_event(e) {
  if (e.event === "run" && e.run.resumed_from > 0 && !data.x.length) return take_snapshot();  // with the steps that it has already
  if (e.event === "run") { Object.assign(data, { run: e.run, steps: e.steps, limit: e.memory_limit, room: e.room_helps, settings: e.settings }); build(); }
  else if (e.event === "step") {
    take_step(data, e);
    data.steps = e.steps;
    data.left = e.seconds_left;
    data.factor = e.rate_factor;
    if (e.volatility !== undefined) { data.wx.push(e.step); data.volatility.push(percent(e.volatility)); }
  } else if (e.event === "validation") { data.vx.push(e.step); data.validation.push(e.validation_loss); }
  else if (e.event === "memory") { data.mx.push(e.seconds); data.bytes.push(e.bytes); }
  else if (e.event === "event") data.events.push(e);
  else if (e.event === "status") {
    data.run.status = e.status;
    notice("");
  }
  else if (e.event === "alarms") data.alarms = e.alarms;
  else if (e.event === "end") {
    stream.close();
    over = true;
    if (e.status) data.run.status = e.status;
    notice(word("ended")(status()));
    $("control").hidden = true;
  }
  refresh();
}

async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.error || answer.status);
  return json;
}

// Events come first, then the snapshot; events up to its number are in it already.
async function take_snapshot() {
  waiting = [];
  try {
    const json = await get("/api/live");
    sequence = json.seq;
    if (json.run) data = from_snapshot(json);
    notice("");
    build();
  } catch (error) {
    notice(String(error));
  }
  const late = waiting;
  waiting = null;
  late.forEach(receive);
}

function follow() {
  stream = new EventSource("/api/events");
  stream.onmessage = message => {
    const e = JSON.parse(message.data);
    if (e.event === "hello") take_snapshot();
    else receive(e);
  };
  stream.onerror = () => { if (["running", "paused", undefined].includes(data.run.status)) notice(word("lost")); };
}

function receive(e) {
  if (waiting) waiting.push(e);
  else if (e.seq > sequence || (e.event === "end" && !e.status)) {
    sequence = e.seq;
    take_event(e);
  }
}

// ---- the page

let charts = [];
const zoomed = () => { $("whole").disabled = charts.every(c => !c.range); };
const wrong = e => ["skipped", "rollback", "failed", "alarm"].includes(e.kind);
// Of the run's events, as the charts mark them; made again when there are more.
let marked = { events: null, count: 0, list: [] };
function marks() {
  if (marked.events !== data.events || marked.count !== data.events.length)
    marked = { events: data.events, count: data.events.length, list: data.events.filter(e => e.kind !== "sample").map(e => ({ step: e.step, kind: e.kind, bad: wrong(e) })).sort((a, b) => a.bad - b.bad) };
  return marked.list;
}
const mib = bytes => bytes.map(b => b / 1048576);

function build() {
  const settings = data.settings;
  const logs = Object.fromEntries(charts.map(c => [c.word, c.log])), range = charts.length ? charts[0].range : null;
  for (const c of charts) c.destroy();
  $("charts").replaceChildren();
  charts = [];
  if (!settings) return refresh();  // the run has no plan yet
  const group = [];
  const chart = (options, grouped = true) => {
    const box = $("charts").appendChild(document.createElement("div"));
    const one = new Chart(box, { ...options, log: logs[options.word] ?? false, group: grouped ? group : null, events: grouped ? marks : () => [], hint: !charts.length, zoomed });
    if (grouped) group.push(one);
    charts.push(one);
  };
  const pair = (word, xs, ys, key, x = "x", more = {}) => {
    const series = [{ word, name: other ? data.run.id : "", color: "--two", xs, ys, ...more }];
    if (other && other[key].length) series.push({ name: other.run.id, color: "--other", xs: other[x], ys: other[key], ...more });
    return series;
  };
  const losses = [{ word: "raw", color: "--one", thin: true, xs: data.x, ys: data.loss }, { word: "smoothed", color: "--two", xs: data.x, ys: data.smoothed },
    { word: "validation", color: "--three", dots: true, xs: data.vx, ys: data.validation }];
  if (other) losses.push({ name: other.run.id, color: "--other", xs: other.x, ys: other.smoothed });
  chart({ word: "loss", series: losses, judged: -1 });
  chart({ word: "grad", series: pair("grad", data.x, data.grad, "grad", "x", { thin: true }), band: [settings.grad_norm_min, settings.grad_norm_max] });
  chart({ word: "volatility", series: pair("volatility", data.wx, data.volatility, "volatility", "wx", { dots: true }), band: [0, percent(settings.volatility_max)] });
  chart({ word: "rate", series: pair("rate", data.x, data.rate, "rate"), judged: -1 });
  if (data.limit > 0) chart({ word: "share", unit: "seconds", series: [{ word: "share", color: "--two", xs: data.mx, ys: data.share = data.bytes.map(share) }], band: [data.room ? 100 * settings.memory_min : 0, 100 * settings.memory_max] }, false);
  else chart({ word: "amount", series: pair("amount", data.x, mib(data.memory), "memory").map((s, i) => i ? { ...s, ys: mib(other.memory) } : s), judged: -1 });
  chart({ word: "speed", series: pair("speed", data.x, data.speed, "speed", "x", { thin: true }), judged: -1 });
  if (range) charts[0].zoom(range);  // unless this run has nothing there
  $("config").textContent = data.run.config || "";
  comparison();
  label();
}

const share = bytes => 100 * bytes / data.limit;
const last = list => list[list.length - 1];
const status = () => word("statuses")[data.run.status] || data.run.status || "–";

function duration(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "–";
  const s = Math.max(0, Math.round(seconds));
  return s >= 3600 ? `${Math.floor(s / 3600)}h${String(Math.floor(s / 60) % 60).padStart(2, "0")}m` : s >= 60 ? `${Math.floor(s / 60)}m${String(s % 60).padStart(2, "0")}s` : `${s}s`;
}

function notice(text) { $("notice").textContent = text; }

const row = (list, tag, name) => list.appendChild(make(tag, "", name));

function figures() {
  $("pause").textContent = word(data.run.status === "paused" ? "resume" : "pause");
  const s = data.settings, grad = last(data.grad), bytes = data.mx.length ? last(data.bytes) : last(data.memory), wave = last(data.volatility);
  const outside = (value, low, high) => value !== undefined && (value === null || value < low || value > high);
  const all = [["status", status()], ["step", data.x.length ? `${last(data.x)} / ${data.steps}` : "–"], ["loss", number(last(data.loss))], ["smoothed", number(last(data.smoothed))],
    ["validation", number(last(data.validation))], ["grad", number(grad), outside(grad, s.grad_norm_min, s.grad_norm_max)],
    ["wave", wave === undefined || wave === null ? "–" : `${wave.toFixed(1)} %`, outside(wave, 0, percent(s.volatility_max))], ["rate", number(last(data.rate)) + (data.factor !== 1 ? ` (× ${number(data.factor)})` : "")],
    ["memory", bytes ? `${Math.round(bytes / 1048576)} MiB` + (data.limit ? ` · ${share(bytes).toFixed(0)} %` : "") : "–", data.limit > 0 && bytes / data.limit > s.memory_max],
    ["speed", number(last(data.speed))]];
  if (live) all.push(["left", data.run.status === "running" ? duration(data.left) : "–"]);
  $("figures").replaceChildren();
  for (const [name, value, bad] of all) {
    const one = row($("figures"), "div", bad ? "figure bad" : "figure");
    one.append(make("span", word(name)), make("b", value));
  }
}

function lists() {
  $("alarms").replaceChildren();
  for (const a of [...data.alarms].sort((p, q) => q.serious - p.serious)) {
    const one = row($("alarms"), "div", a.serious ? "alarm" : "alarm hint");
    one.append(make("b", word("alarms")[a.kind] || a.kind), make("span", " · " + word("alarm")(a)), make("p", word("advice")[a.kind] || a.advice));
  }
  const fill = (list, events) => {
    list.replaceChildren();
    for (const e of events.slice(-200).reverse()) {
      const one = row(list, "li", wrong(e) ? "bad" : "");
      one.append(make("b", `${e.step} ${e.kind} `), make("span", e.text));
    }
  };
  const samples = data.events.filter(e => e.kind === "sample");
  fill($("events"), data.events.filter(e => e.kind !== "sample"));
  fill($("samples"), samples);
  $("samples-box").hidden = samples.length === 0;
}

function comparison() {
  $("comparison").replaceChildren();
  if (!other) return;
  const find = id => (listed.find(r => r.id === id) || { summary: {} }).summary, a = find(data.run.id), b = find(other.run.id);
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  $("comparison").append(table(["", data.run.id, other.run.id], names.map(name => [name, number(a[name]), number(b[name])])));
}

let scheduled = false;
function refresh() {
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => {
    scheduled = false;
    if (!data.settings) return;
    const memory = charts.find(c => c.word === "share");
    if (memory) while (data.share.length < data.bytes.length) data.share.push(share(data.bytes[data.share.length]));
    figures();
    lists();
    for (const c of charts) c.draw();
    document.title = data.run.id ? `${data.run.id} · ${number(last(data.smoothed))} · hone` : "hone";
  }, 120);
}

function label() {
  for (const c of charts) c.label();
  zoomed();
  refresh();
}

function options(select, chosen, first) {
  select.replaceChildren();
  for (const [value, text] of first) select.add(new Option(text, value));
  for (const r of listed) if (!(live && select === $("run") && r.id === data.run.id)) select.add(new Option(`${r.id} (${r.started.slice(0, 16).replace("T", " ")})`, r.id));
  select.value = chosen;
}

async function open_run(id) {
  if (stream) stream.close();
  stream = null;
  $("control").hidden = true;
  notice("");
  if (id === "") {
    data = empty();
    $("control").hidden = !token;
    return follow();
  }
  data = from_snapshot(await get("/api/runs/" + encodeURIComponent(id)));
  build();
}

const guarded = action => async event => {
  try {
    await action(event);
  } catch (error) {
    notice(String(error.message || error));
  }
};

$("run").onchange = guarded(() => open_run($("run").value));
$("compare").onchange = guarded(async () => {
  other = $("compare").value ? from_snapshot(await get("/api/runs/" + encodeURIComponent($("compare").value))) : null;
  build();
});
$("whole").onclick = () => charts.forEach(c => c.zoom(null));
document.addEventListener("spoken", label);
async function control(what, body) {
  let said;
  try {
    const answer = await fetch("/api/" + what, {
      method: "POST", headers: { "X-Run-Token": token }, body: body && JSON.stringify(body),
    });
    said = answer.ok ? word("taken") : word("refused") + (await answer.json()).error;
  } catch (error) {
    said = String(error.message || error);
  }
  if (!over) notice(said);  // that the run has ended may be told before the answer to "stop" is here
}
$("stop").onclick = guarded(async () => { if (confirm(word("sure"))) await control("stop"); });
$("change-rate").onclick = guarded(async () => {
  const text = prompt(word("factor")(data.factor), data.factor), factor = Number(text);
  if (!text || factor === data.factor) return;
  if (!(factor > 0)) return notice(word("refused") + text);
  if (confirm(word("sure_rate")(number(factor)))) await control("learning_rate", { factor });
});
$("checkpoint").onclick = guarded(() => control("checkpoint"));
$("pause").onclick = guarded(() => control(data.run.status === "paused" ? "resume" : "pause"));

guarded(async () => {
  const now = await get("/api/live");
  live = now !== null;
  if (live && now.run) data.run = now.run;
  listed = (await get("/api/runs")).runs;
  options($("run"), live ? "" : listed.length ? listed[0].id : "", live ? [["", word("live")]] : []);
  options($("compare"), "", [["", word("nothing")]]);
  if (live) await open_run("");
  else if (listed.length) await open_run(listed[0].id);
  else notice(word("none"));
})();
