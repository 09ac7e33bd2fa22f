"use strict";
let row = null, rows = 0, mine = 0;
let rejecting = false;  // the reason is being asked for

const areas = () => [...$("fields").querySelectorAll("textarea")];
const edits = () => Object.fromEntries(areas().filter((area) => area.value !== area.dataset.original).map((area) => [area.dataset.pointer, area.value]));
const changed = () => Object.keys(edits()).length > 0;
// Typed, and lost when another row is shown.
const unsaved = () => areas().some((area) => area.value !== area.dataset.shown);
const keepEdits = () => { if (unsaved()) throw new Error(word("unsaved")); };

function mark(area) {
  area.parentElement.classList.toggle("changed", area.value !== area.dataset.original);
  grow(area);
}

function showDecisions() {
  const line = (d) => `${d.reviewer}: ${word("verdicts")[d.verdict]}${d.reason ? " – " + d.reason : ""} (${d.time})`;
  $("decided").replaceChildren();
  if (!row || !row.own) return;
  $("decided").append(make("p", word("own"), "faint"), make("p", line(row.own), "text"));
  if (row.others.length) $("decided").append(make("p", word("others"), "faint"), ...row.others.map((d) => make("p", line(d), "text")));
}

function show() {
  $("done").hidden = row !== null;
  for (const id of ["accept", "edit", "reject"]) $(id).disabled = row === null;
  $("undo").disabled = !row || !row.own;
  $("where").textContent = row ? row.where : "";
  $("progress").textContent = row ? word("position")(row.row + 1, rows, mine) : "";
  $("reason").value = row && row.own && row.own.reason || "";
  $("fields").replaceChildren(...(row ? row.fields : []).map((field) => {
    const box = make("label", "", "field");
    if (["assistant", "gpt"].includes(field.label)) box.classList.add(field.label);
    box.append(make("span", field.label));
    if (!field.editable) { box.append(make("p", field.text, "text")); return box; }
    const area = document.createElement("textarea");
    // A text area turns CRLF into LF: what it holds at first counts as the original.
    area.value = field.text;
    area.dataset.original = area.value;
    area.dataset.pointer = field.pointer;
    area.rows = 1;
    const mineBefore = row.own && row.own.edits && row.own.edits[field.pointer];
    if (mineBefore !== undefined && mineBefore !== null) area.value = mineBefore;
    area.dataset.shown = area.value;
    area.addEventListener("input", () => mark(area));
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") area.blur();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) decide("edit");
    });
    box.append(area);
    return box;
  }));
  areas().forEach(mark);
  showDecisions();
}

async function load(number) {
  row = await call("/api/row", { row: number, reviewer: person });
  show();
  window.scrollTo(0, 0);
}

// The first row from `from` on that one has not decided about, and how many one has; as many as there are rows: none is left.
async function findOpen(from) {
  const next = await call("/api/next", { reviewer: person, from });
  rows = next.rows;
  mine = next.decided;
  return next.row;
}

async function nextOpen(from) {
  const open = await findOpen(from);
  if (open < rows) return load(open);
  row = null;
  show();
}

// The neighbour in the file that can be read: malformed rows are stepped over.
async function step(by) {
  if (!row) return nextOpen(0);
  keepEdits();
  for (let number = row.row + by; number >= 0 && number < rows; number += by) {
    try { return await load(number); } catch (error) { if (number + by < 0 || number + by >= rows) throw error; }
  }
}

function decide(verdict) {
  if (!row) return;
  const reason = $("reason").value.trim();
  if (verdict === "reject" && !reason) { $("reason").focus(); rejecting = true; return complain(new Error(word("needReason"))); }
  const texts = edits();
  if (verdict === "edit" && !changed()) { areas().at(-1)?.focus(); return complain(new Error(word("nothingEdited"))); }
  if (verdict === "accept" && changed() || verdict === "withdraw" && unsaved()) return complain(new Error(word("unsaved")));
  once(async () => {
    await call("/api/decide", { row: row.row, key: row.key, reviewer: person, verdict, reason, ...(verdict === "edit" ? { edits: texts } : {}) });
    if (reason && ![...$("reasons").options].some((o) => o.value === reason)) $("reasons").append(new Option(reason, reason));
    if (verdict === "withdraw") { await findOpen(0); await load(row.row); } else await nextOpen(row.row + 1);
  });
}

async function showSummary() {
  const s = await call("/api/summary", {}), a = s.agreement;
  const parts = [table([word("outcome"), word("rows")], Object.entries(s.outcomes).map(([name, n]) => [word("outcomes")[name], n])), table([word("reviewer"), word("decided")], s.reviewers.map((r) => [r.name, r.decided]))];
  parts.push(make("h2", word("agreement")), make("p", word("figures")(a), "faint"));
  if (a.pairs.length) parts.push(table([word("reviewer"), "", word("both"), word("same"), "Cohen's kappa"], a.pairs.map((p) => [p.first, p.second, p.rows, p.same, figure(p.cohen_kappa)])));
  if (s.set_aside) parts.push(make("p", word("aside")(s.set_aside), "faint"));
  if (s.malformed) parts.push(make("p", word("malformed")(s.malformed), "faint"));
  $("figures").replaceChildren(...parts);
  $("summary").showModal();
}

for (const verdict of ["accept", "edit", "reject"]) $(verdict).addEventListener("click", () => decide(verdict));
$("reason").addEventListener("blur", () => { rejecting = false; });
$("undo").addEventListener("click", () => decide("withdraw"));
$("back").addEventListener("click", () => once(() => step(-1)));
$("forward").addEventListener("click", () => once(() => step(1)));
$("open-row").addEventListener("click", () => once(() => { keepEdits(); return nextOpen(row ? row.row + 1 : 0); }));
$("open-summary").addEventListener("click", () => once(showSummary));
$("open-help").addEventListener("click", () => { $("key-list").replaceChildren(table([word("key"), word("does")], word("keyList"))); $("help").showModal(); });
$("reason").addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Escape") $("reason").blur();
  if (event.key !== "Enter") return;
  if (rejecting && $("reason").value.trim()) decide("reject");
  $("reason").blur();
});
document.addEventListener("keydown", (event) => {
  if (typing(event)) return;
  const press = { a: "accept", e: "edit", r: "reject", k: "back", j: "forward", n: "open-row", u: "undo", ArrowLeft: "back", ArrowRight: "forward" }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (event.key === "Escape" && row) {
    const before = unsaved() ? "shown" : "original";  // once more: the row's own texts instead of one's earlier edit
    areas().forEach((area) => { area.value = area.dataset[before]; mark(area); });
    return;
  }
  if (!press || (event.repeat && !["back", "forward"].includes(press))) return;
  event.preventDefault();
  pressed(event, () => { if (!$(press).disabled) $(press).click(); });
});
document.addEventListener("spoken", () => {
  $("progress").textContent = row ? word("position")(row.row + 1, rows, mine) : "";
  showDecisions();
});
introduce(() => once(() => nextOpen(0)));
