// A mailing's page in a tab that nobody looks at: its title tells how far it is, and a notice that it has ended.
"use strict";

const NAME = document.title;
const asking = document.querySelector("[data-notify]");
const state = () => document.getElementById("now").dataset;

function tell() {
  const { done, over } = state();
  document.title = done ? `${done} · ${NAME}` : NAME;
  if (asking) asking.hidden = over === "yes" || !("Notification" in window) || Notification.permission !== "default";
}

asking?.addEventListener("click", async () => {
  await Notification.requestPermission();
  tell();
});
let before = state().over;
document.addEventListener("htmx:afterSwap", () => {
  const { over, said } = state();
  tell();
  if (before !== over && over === "yes" && "Notification" in window && Notification.permission === "granted") {
    new Notification(NAME, { body: said, tag: location.pathname });
  }
  before = over;
});
tell();
