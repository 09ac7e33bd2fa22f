"use strict";
// The page talks to the server in Ollama's dialect: /api/tags, /api/ps, /api/chat.
let messages = [];
let running = null;
let failed = null;  // the question that got no answer: its text, and what the page shows of it

const bytes = (n) => n >= 1e9 ? (n / 1e9).toFixed(1) + " GB" : n >= 1e6 ? (n / 1e6).toFixed(0) + " MB" : (n / 1e3).toFixed(0) + " kB";
const short = (name) => name.replace(/:latest$/, "");

// Send, or stop what is being answered.
function showRunning() {
  $("send").dataset.word = running ? "stop" : "send";
  $("send").textContent = word($("send").dataset.word);
}

async function get(path) {
  const response = await fetch(path);
  const json = await response.json();
  if (!response.ok) throw new Error(json.error || response.statusText);
  return json;
}

async function listModels() {
  const [all, inMemory] = await Promise.all([get("/api/tags"), get("/api/ps")]);
  const loaded = new Map(inMemory.models.map((m) => [m.name, m]));
  const chosen = $("model").value || kept.get("model");
  $("model").replaceChildren(...all.models.map((m) => new Option(short(m.name), m.name, false, m.name === chosen)));
  if (!all.models.length) $("model").replaceChildren(new Option(word("none"), ""));
  $("rows").replaceChildren(...all.models.map((m) => {
    const row = document.createElement("tr");
    const details = m.details || {};
    const name = short(m.name) + (details.parent_model ? ` (${word("adapter")} ${details.parent_model})` : "");
    for (const text of [name, `${details.family} ${details.parameter_size}`, bytes(m.size), details.quantization_level, word(loaded.has(m.name) ? "loaded" : "idle")]) {
      row.append(make("td", text));
    }
    if (loaded.has(m.name)) row.lastChild.className = "loaded";
    return row;
  }));
  $("use").textContent = word("use")(inMemory.models.length, bytes(inMemory.models.reduce((sum, m) => sum + m.size, 0)));
}

// Code blocks and `code` stand out; everything is put in as text, never as HTML.
function show(element, text) {
  const pieces = text.split(/```/);
  element.replaceChildren(...pieces.flatMap((piece, i) => {
    if (i % 2) {
      return [make("pre", piece.replace(/^[^\n]*\n/, "").replace(/\n$/, ""))];
    }
    return piece.split(/(`[^`\n]+`)/).map((part) => {
      if (!/^`[^`\n]+`$/.test(part)) return document.createTextNode(part);
      return make("code", part.slice(1, -1));
    });
  }));
}

function addTurn(role, text) {
  $("welcome")?.remove();
  const turn = make("div", text, "turn " + role);
  $("talk").append(turn);
  turn.scrollIntoView({ block: "end" });
  return turn;
}

// What is wrong with no question in particular: said once, until it is over.
let told = null;
function untold() {
  told?.remove();
  told = null;
}
function tell(text) {
  untold();
  told = addTurn("error", text);
  told.setAttribute("role", "alert");
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const whole = rest.split("\n");
    rest = whole.pop();
    for (const line of whole) if (line.trim()) yield JSON.parse(line);
  }
}

function options() {
  const settings = { temperature: Number($("temperature").value), num_predict: Number($("length").value) };
  if ($("seed").value !== "") settings.seed = Number($("seed").value);
  return settings;
}

// A question without an answer is no part of the conversation: it goes back to where it was typed.
function giveBack(question) {
  if ($("words").value) return;
  $("words").value = question;
  grow($("words"));
}

function dropFailed() {
  for (const turn of failed?.turns ?? []) turn.remove();
  failed = null;
}

function retry() {
  const question = failed.question;
  if ($("words").value === question) { $("words").value = ""; grow($("words")); }
  ask(question);
}

// In sight, with the way on.
function showFailure(turn, meta, text) {
  turn.classList.add("error");
  meta.setAttribute("role", "alert");
  meta.textContent = text;
  const again = make("button", word("retry"));
  again.type = "button";
  again.dataset.word = "retry";
  again.addEventListener("click", () => { if (!running) retry(); });
  meta.append(again);
  turn.scrollIntoView({ block: "end" });
}

async function answer(question, asked) {
  const turn = addTurn("assistant", "");
  const content = make("div", ""), meta = make("div", "", "meta");
  let thoughts = null;
  turn.append(content, meta);
  let text = "", thinking = "", end = null;
  const conversation = messages;  // "New chat" begins another one meanwhile
  running = new AbortController();
  showRunning();
  try {
    const system = $("system").value.trim();
    const sent = (system ? [{ role: "system", content: system }] : []).concat(conversation);
    const response = await fetch("/api/chat", { method: "POST", headers: { "Content-Type": "application/json" }, signal: running.signal,
      body: JSON.stringify({ model: $("model").value, messages: sent, options: options() }) });
    if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error || `${response.status} ${response.statusText}`);
    for await (const line of lines(response.body)) {
      if (line.error) throw new Error(line.error);
      const atEnd = document.querySelector("main").scrollHeight - document.querySelector("main").scrollTop - document.querySelector("main").clientHeight < 80;
      if (line.message.thinking) {
        if (!thoughts) {
          thoughts = make("details", "");
          thoughts.open = true;
          thoughts.append(make("summary", word("thoughts")), make("span", ""));
          turn.prepend(thoughts);
        }
        thinking += line.message.thinking;
        thoughts.lastChild.textContent = thinking;
      }
      if (line.message.content) {
        if (thoughts && !text) thoughts.open = false;
        text += line.message.content;
        show(content, text);
      }
      if (line.done) end = line;
      if (atEnd) turn.scrollIntoView({ block: "end" });
    }
    if (!end) throw new Error(word("broken"));
    const seconds = end.eval_duration / 1e9;
    meta.textContent = (seconds > 0 ? word("speed")(end.eval_count, (end.eval_count / seconds).toFixed(1)) : "") + (end.done_reason === "length" ? " · " + word("cut") : "");
    meta.scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (error.name === "AbortError") meta.textContent = word("stopped");
    else {
      text = "";  // part of an answer is none
      if (conversation === messages) showFailure(turn, meta, error instanceof TypeError ? word("failed") + error.message : error.message);
    }
  } finally {
    running = null;
    showRunning();
    if (text || end) conversation.push({ role: "assistant", content: text });
    else {
      conversation.pop();
      if (conversation === messages) {
        failed = { question, turns: [asked, turn] };
        giveBack(question);
      }
    }
    listModels().catch(() => {});
  }
}

function ask(question) {
  dropFailed();
  messages.push({ role: "user", content: question });
  answer(question, addTurn("user", question));
}

function submit() {
  if (running) return running.abort();
  const text = $("words").value.trim();
  if (!text) return;
  if (!$("model").value) {  // none is served, or the server was not there yet
    listModels().then(() => { if ($("model").value) submit(); else tell(word("none")); }, (error) => tell(word("failed") + error.message));
    return;
  }
  untold();
  $("words").value = "";
  grow($("words"));
  ask(text);
}

$("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
$("words").addEventListener("input", () => grow($("words")));
$("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !running) { event.preventDefault(); submit(); }
});
$("model").addEventListener("change", () => kept.set("model", $("model").value));
document.addEventListener("spoken", () => listModels().catch(() => {}));
$("clear").addEventListener("click", () => {
  running?.abort();
  messages = [];
  failed = null;
  const welcome = make("p", word("welcome"));
  welcome.id = welcome.dataset.word = "welcome";
  $("talk").replaceChildren(welcome);
});
$("open-models").addEventListener("click", () => { listModels().catch(() => {}); $("models").showModal(); });
$("open-settings").addEventListener("click", () => $("settings").showModal());

listModels().catch((error) => tell(word("failed") + error.message));
