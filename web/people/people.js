"use strict";
// What the pages for people share: language, the person's name, calls to the server, messages. Texts are put in as text, never as HTML.
const $ = (id) => document.getElementById(id);
const kept = { get: (key) => { try { return localStorage.getItem(key); } catch { return null; } }, set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* private windows */ } } };

let language = kept.get("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
let person = kept.get("person") || "";
const word = (key) => WORDS[language][key];

function speak() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const element of document.querySelectorAll("[data-hint]")) { element.placeholder = word(element.dataset.hint); element.setAttribute("aria-label", word(element.dataset.hint)); }
  for (const element of document.querySelectorAll("[data-key]")) element.append(make("kbd", element.dataset.key));
  $("language").textContent = word("other");
  $("who").textContent = person || word("nobody");
}

function make(tag, text, name) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

async function call(path, body) {
  let response;
  try {
    response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Error(word("unreachable"));
  }
  const json = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(json.error || response.statusText);
  return json;
}

let messageTimer = 0;
function complain(error) {
  $("message").textContent = error.message || String(error);
  $("message").hidden = false;
  clearTimeout(messageTimer);
  messageTimer = setTimeout(() => { $("message").hidden = true; }, 8000);
}

// One call at a time: a key held down does not decide twice.
let busy = false;
async function once(work) {
  if (busy) return;
  busy = true;
  try { await work(); $("message").hidden = true; } catch (error) { complain(error); } finally { busy = false; }
}

function table(head, rows) {
  const wide = make("div", "", "wide"), made = document.createElement("table");
  const line = (cells, tag) => { const row = document.createElement("tr"); row.append(...cells.map((cell) => make(tag, cell))); return row; };
  made.append(line(head, "th"), ...rows.map((row) => line(row, "td")));
  wide.append(made);
  return wide;
}

const figure = (value) => value === null || value === undefined ? "–" : value.toFixed(3);

// Asks for the name until there is one; then begins.
function introduce(begin) {
  const ask = () => { $("name").value = person; $("person").showModal(); };
  $("person").addEventListener("cancel", (event) => { if (!person) event.preventDefault(); });
  $("person-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("name").value.trim();
    if (!name) return;
    person = name;
    kept.set("person", person);
    $("person").close();
    speak();
    begin();
  });
  $("who").addEventListener("click", ask);
  $("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; kept.set("language", language); speak(); document.dispatchEvent(new Event("spoken")); });
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => $(button.dataset.close).close());
  speak();
  if (person) begin(); else ask();
}

const typing = (event) => event.isComposing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || ["TEXTAREA", "INPUT", "SELECT"].includes(event.target.tagName);
