"use strict";
// What all pages share: elements by id, settings that are kept, language, theme. It runs before the page is shown, so that the first
// thing seen has its colours. Texts are put in as text, never as HTML.
const $ = (id) => document.getElementById(id);
const kept = { get: (key) => { try { return localStorage.getItem(key); } catch { return null; } }, set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* private windows */ } } };

const COMMON = {
  en: { other: "中文", dark: "Dark", light: "Light", close: "Close" },
  zh: { other: "English", dark: "深色", light: "浅色", close: "关闭" },
};
// Other programs that were once served at this address may have kept something under the same names.
let language = Object.hasOwn(COMMON, kept.get("language")) ? kept.get("language") : navigator.language.startsWith("zh") ? "zh" : "en";
const word = (key) => WORDS[language][key] ?? COMMON[language][key] ?? key;

let theme = kept.get("theme");  // anything but "dark" and "light": the system's
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => theme === "dark" || (theme !== "light" && systemIsDark.matches);
const paint = () => document.documentElement.classList.toggle("dark", isDark());
paint();

function speak() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const element of document.querySelectorAll("[data-hint]")) { element.placeholder = word(element.dataset.hint); element.setAttribute("aria-label", word(element.dataset.hint)); }
  for (const element of document.querySelectorAll("[data-key]")) element.append(make("kbd", element.dataset.key));
  $("theme").textContent = word(isDark() ? "light" : "dark");
}

// Language or theme are another: what a page wrote or drew itself, it does again at the event "spoken".
function change() {
  paint();
  speak();
  document.dispatchEvent(new Event("spoken"));
}

function make(tag, text, name) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

function table(head, rows) {
  const wide = make("div", "", "wide"), made = document.createElement("table");
  const line = (cells, tag) => { const row = document.createElement("tr"); row.append(...cells.map((cell) => make(tag, cell))); return row; };
  made.append(line(head, "th"), ...rows.map((row) => line(row, "td")));
  wide.append(made);
  return wide;
}

// As high as what is written in it.
function grow(area) {
  area.style.height = "auto";
  area.style.height = area.scrollHeight + 2 + "px";
}

// The page's own scripts have run by then.
document.addEventListener("DOMContentLoaded", () => {
  $("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; kept.set("language", language); change(); });
  $("theme").addEventListener("click", () => { theme = isDark() ? "light" : "dark"; kept.set("theme", theme); change(); });
  systemIsDark.addEventListener("change", change);
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => $(button.dataset.close).close());
  speak();
});
