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

// Twice clicked is once sent.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.defaultPrevented || event.target.method !== "post" || !button) return;
  setTimeout(() => { button.disabled = true; });
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
});
