"use strict";
// What the pages for people share: the person's name, calls to the server, messages.
let person = kept.get("person") || "";

const showPerson = () => { $("who").textContent = person || word("nobody"); };

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
  keys.length = 0;  // they were pressed before this was known
  $("message").textContent = error.message || String(error);
  $("message").hidden = false;
  clearTimeout(messageTimer);
  messageTimer = setTimeout(() => { $("message").hidden = true; }, 8000);
}

// One call at a time.
let busy = false;
async function once(work) {
  if (busy) return;
  busy = true;
  try { await work(); $("message").hidden = true; } catch (error) { complain(error); } finally { busy = false; }
  while (!busy && keys.length) keys.shift()();
}

// What a key does. One that is pressed during a call waits for its end, and means what is shown then; one held down counts once.
const keys = [];
function pressed(event, action) {
  if (event.repeat && (busy || keys.length)) return;
  if (busy) keys.push(action); else action();
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
    showPerson();
    begin();
  });
  $("who").addEventListener("click", ask);
  document.addEventListener("spoken", showPerson);
  showPerson();
  if (person) begin(); else ask();
}

const typing = (event) => event.isComposing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || ["TEXTAREA", "INPUT", "SELECT"].includes(event.target.tagName);
