// An export comes page by page and is kept as one file.
"use strict";

const language = document.documentElement.lang;
const percent = new Intl.NumberFormat(language, { style: "percent" });

async function download(link, tell) {
  const pages = [];
  let rows = 0;
  for (let next = `${link.href}${link.href.includes("?") ? "&" : "?"}limit=${link.dataset.limit ?? 5000}`; next; ) {
    const answer = await fetch(next);
    if (!answer.ok || !answer.headers.get("Content-Type").startsWith("text/csv")) throw new Error("no CSV");
    const page = await answer.text();
    pages.push(page);
    rows += rowEnds(page).length;
    tell(rows);
    next = answer.headers.get("Link")?.match(/<([^>]+)>; rel="next"/)?.[1];
  }
  const url = URL.createObjectURL(new Blob(pages, { type: "text/csv" }));
  const file = document.createElement("a");
  file.href = url;
  file.download = link.dataset.download;
  file.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// Without a script the link gets the first page.
for (const link of document.querySelectorAll("a[data-download]")) {
  const status = document.createElement("span");
  status.setAttribute("role", "status");
  status.className = "note";
  link.after(status);
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    if (link.getAttribute("aria-busy")) return;
    link.setAttribute("aria-busy", "true");
    const total = Number(link.dataset.total);
    try {
      await download(link, (rows) => {
        const share = Math.min(100, Math.floor((100 * rows) / total)) / 100;
        status.textContent = total ? percent.format(share) : rows.toLocaleString(language);
      });
    } catch {
      status.textContent = link.dataset.failed;
    } finally {
      link.removeAttribute("aria-busy");
    }
  });
}
