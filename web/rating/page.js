"use strict";
const DIMENSIONS = ["relevance", "fluency", "professionalism"];
let pairwise = false, unit = null, rated = 0, of = 0, values = [0, 0, 0], current = 0;

function showGrades() {
  $("grades").replaceChildren(...DIMENSIONS.map((name, d) => {
    const line = make("div", "", "grade" + (d === current ? " current" : ""));
    line.setAttribute("role", "group");
    line.setAttribute("aria-label", word("dimensions")[name]);
    line.append(make("span", word("dimensions")[name]), ...[1, 2, 3, 4, 5].map((value) => {
      const button = make("button", value);
      button.type = "button";
      button.setAttribute("aria-pressed", values[d] === value);
      button.addEventListener("click", () => { current = d; grade(value); });
      return button;
    }));
    return line;
  }));
}

function grade(value) {
  values[current] = value;
  if (current < 2) ++current;
  showGrades();
}

function show() {
  $("single").setAttribute("aria-pressed", !pairwise);
  $("pairs").setAttribute("aria-pressed", pairwise);
  $("done").hidden = unit !== null;
  $("grades").hidden = $("save").hidden = pairwise || !unit;
  ["left", "tie", "right"].forEach((id, i) => {
    $(id).hidden = !pairwise || !unit;
    $(id).setAttribute("aria-pressed", Boolean(unit) && unit.own === [0, -1, 1][i]);
  });
  $("progress").textContent = unit ? word("position")(unit.position + 1, of, rated) : "";
  $("unit").replaceChildren();
  if (!unit) return;
  const text = (label, content, name) => { const box = make("div", "", "field"); box.append(make("span", word(label)), make("p", content || word("empty"), "text " + name)); return box; };
  $("unit").append(text("question", unit.prompt, ""));
  if (unit.expected !== null) $("unit").append(text("expected", unit.expected, ""));
  if (!pairwise) $("unit").append(text("answer", unit.answers[0], "answer"));
  else {
    const two = make("div", "", "two");
    two.append(text("first", unit.answers[0], "answer"), text("second", unit.answers[1], "answer"));
    $("unit").append(two);
  }
  showGrades();
}

async function load(position) {
  unit = await call("/api/unit", { rater: person, pairwise, position });
  values = !pairwise && unit.own ? [...unit.own] : [0, 0, 0];
  current = 0;
  show();
  window.scrollTo(0, 0);
}

async function nextOpen(from) {
  const next = await call("/api/next", { rater: person, pairwise, from });
  rated = next.rated;
  of = next.of;
  if (next.position < of) return load(next.position);
  unit = null;
  show();
}

async function step(by) {
  if (!unit) return load(by < 0 ? of - 1 : 0);
  const position = unit.position + by;
  if (position >= 0 && position < of) await load(position);
}

function save(rating) {
  if (!unit) return;
  once(async () => {
    await call("/api/rate", { rater: person, pairwise, position: unit.position, content: unit.content, ...rating });
    await nextOpen(unit.position + 1);
  });
}

function saveGrades() {
  if (values.includes(0)) return complain(new Error(word("incomplete")));
  save(Object.fromEntries(DIMENSIONS.map((name, d) => [name, values[d]])));
}

function choose(mode) {
  once(async () => {
    const before = pairwise;
    pairwise = mode;
    try { await nextOpen(0); } catch (error) { pairwise = before; throw error; }
  });
}

async function showSummary() {
  const s = await call("/api/summary", {});
  const parts = [table([word("rater"), word("rated"), word("compared")], s.raters.map((r) => [r.name, `${r.rated} / ${s.answers}`, `${r.compared} / ${s.pairs}`]))];
  parts.push(table([word("dimension"), word("ratings"), "Cohen κ", "κ²", "Fleiss κ", "Krippendorff α"],
    s.dimensions.map((d) => [word("dimensions")[d.name], d.ratings, figure(d.cohen_kappa), figure(d.cohen_kappa_quadratic), figure(d.fleiss_kappa), figure(d.krippendorff_alpha)])));
  if (s.preferences.length) parts.push(table([word("pairAgreement"), "Fleiss κ"], s.preferences.map((p) => [p.compared, figure(p.fleiss_kappa)])));
  $("figures").replaceChildren(...parts);
  $("summary").showModal();
}

$("save").addEventListener("click", saveGrades);
$("left").addEventListener("click", () => save({ winner: 0 }));
$("right").addEventListener("click", () => save({ winner: 1 }));
$("tie").addEventListener("click", () => save({ winner: -1 }));
$("single").addEventListener("click", () => choose(false));
$("pairs").addEventListener("click", () => choose(true));
$("back").addEventListener("click", () => once(() => step(-1)));
$("forward").addEventListener("click", () => once(() => step(1)));
$("open-next").addEventListener("click", () => once(() => nextOpen(unit ? unit.position + 1 : 0)));
$("open-summary").addEventListener("click", () => once(showSummary));
$("open-help").addEventListener("click", () => { $("key-list").replaceChildren(table([word("key"), word("does")], word("keyList"))); $("help").showModal(); });
function press(key) {
  if (!pairwise && unit && /^[1-5]$/.test(key)) return grade(Number(key));
  if (!pairwise && unit && (key === "arrowup" || key === "arrowdown")) { current = (current + (key === "arrowup" ? 2 : 1)) % 3; return showGrades(); }
  if (key === "enter") return pairwise ? undefined : saveGrades();
  if (key === "p") return choose(!pairwise);
  const button = { 1: "left", 2: "right", 0: "tie", k: "back", j: "forward", n: "open-next", arrowleft: "back", arrowright: "forward" }[key];
  if (button && !$(button).hidden) $(button).click();
}
document.addEventListener("keydown", (event) => {
  if (typing(event)) return;
  const key = event.key.toLowerCase();
  if (key === "enter" && event.target.tagName === "BUTTON") return;  // a focused button is pressed by Enter itself
  if (!/^([0-5kjnp]|enter|arrow(up|down|left|right))$/.test(key) || (event.repeat && !/^([kj]|arrow.*)$/.test(key))) return;
  if (key.startsWith("arrow")) event.preventDefault();
  pressed(event, () => press(key));
});
document.addEventListener("spoken", () => { if (of) show(); });
introduce(() => once(() => nextOpen(0)));
