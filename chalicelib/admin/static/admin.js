// What pages do by themselves: the browser's time zone, dialogs, and parts that follow what happens.
"use strict";

const base = document.body.dataset.path;

// The zone of this browser, until its user chooses another.
if (!/(?:^|; )zone=/.test(document.cookie)) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `zone=${zone}; path=${base}; max-age=31536000; samesite=lax`;
}

// The names of all zones, where one is to be entered.
for (const input of document.querySelectorAll("[data-zones]")) {
  if (!Intl.supportedValuesOf) continue;
  const list = document.createElement("datalist");
  list.id = `${input.id}-zones`;
  for (const zone of Intl.supportedValuesOf("timeZone")) list.append(new Option(zone, zone));
  input.after(list);
  input.setAttribute("list", list.id);
}

// What only a script can do, such as adding a suggested value to a field of many lines, or a better text.
for (const part of document.querySelectorAll("[data-needs-script]")) part.hidden = false;
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-add], [data-set]");
  if (!button) return;
  const field = document.getElementById(button.dataset.to);
  const { add, set } = button.dataset;
  field.value = set ?? [...field.value.split("\n").filter((line) => line.trim() && line.trim() !== add), add].join("\n");
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

// A form that came back with errors begins with them.
document.querySelector(".problems")?.focus();

// A confirmation in front of the page. Without a script the link leads to it.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const answer = await fetch(link.href).catch(() => null);
  const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
  const question = page && page.querySelector("[data-confirm]");
  if (!question) {
    location.assign(link.href);
    return;
  }
  const dialog = document.createElement("dialog");
  dialog.append(document.importNode(question, true));
  dialog.setAttribute("aria-labelledby", "question");
  dialog.addEventListener("click", (clicked) => {
    if (!clicked.target.closest("[data-close]")) return;
    clicked.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    link.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
});

// Rows of a list that are selected, and buttons that say how many of them they are for.
for (const form of document.querySelectorAll("[data-choice]")) {
  const language = document.documentElement.lang;
  const form_of = new Intl.PluralRules(language);
  const all = form.querySelector("[name=all]");
  const rows = [...form.querySelectorAll("[name=id]")];
  const tell = () => {
    const count = rows.filter((row) => row.checked).length;
    all.checked = count === rows.length;
    all.indeterminate = count > 0 && count < rows.length;
    form.querySelector("[data-chosen]").textContent = count ? count.toLocaleString(language) : "";
    for (const { dataset, firstChild } of form.querySelectorAll("[data-none]")) {
      const text = { one: dataset.one, few: dataset.few }[form_of.select(count)] ?? dataset.many;
      firstChild.data = count ? text.replace("{}", count.toLocaleString(language)) : dataset.none;
    }
  };
  if (all.checked) for (const row of rows) row.checked = true;
  form.addEventListener("change", (event) => {
    if (event.target === all) for (const row of rows) row.checked = all.checked;
    tell();
  });
  window.addEventListener("pageshow", tell);
}

// Parts that follow what happens: where nobody looks only the tab's title, and seldom; at once when somebody does again, and honest when they cannot.
// An event after the answer names what stands there now, its request who asked.
const live = ({ detail }) => (detail.requestConfig?.elt ?? detail.elt).matches?.("[data-live]");
const SELDOM = 20_000; // milliseconds
const PATIENCE = 5000; // milliseconds, after which a page that gets no answer says so
let asked = 0;
let waitingSince = null; // for an answer
const tellAge = (stale) => {
  document.querySelector("[data-stale]").hidden = !stale;
  document.body.classList.toggle("out-of-date", stale);
};
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!live(event)) return;
  if (!document.hidden) waitingSince ??= performance.now();
  else if (event.detail.elt.matches("[data-done]") && Date.now() - asked > SELDOM) asked = Date.now();
  else event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  waitingSince = null;
  if (!document.hidden) for (const part of document.querySelectorAll("[data-live]")) htmx.trigger(part, "refresh");
});
// A session that has ended is told on the page, which is not left: something may be written on it.
document.addEventListener("session-ended", () => {
  waitingSince = null;
  for (const note of document.querySelectorAll("[data-ended]")) note.hidden = false;
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (!live(event) || !event.detail.successful) return;
  waitingSince = null;
  tellAge(false);
});
setInterval(() => {
  if (waitingSince !== null && performance.now() - waitingSince > PATIENCE) tellAge(true);
}, 500);
// What was opened stays open. (The focus stays by itself on what has an id.)
let opened = [];
document.addEventListener("htmx:beforeSwap", () => {
  opened = [...document.querySelectorAll("details[open][id]")].map((one) => one.id);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
});

// What a part says changes often; it is read out only if it is something else than the last time.
document.addEventListener("htmx:afterSwap", () => {
  const said = document.querySelector("[data-said]");
  const saying = document.querySelector("[data-saying]");
  const text = said?.textContent.trim().replace(/\s+/g, " ");
  if (saying && text && saying.textContent !== text) saying.textContent = text;
});

// Twice clicked is once sent.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.defaultPrevented || event.target.method !== "post" || !button || button.formMethod === "dialog") return;
  setTimeout(() => { button.disabled = true; });
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
});
