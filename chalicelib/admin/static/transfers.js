// Files: CSV is sent to be imported, part by part, and an export comes page by page and is kept as one file.
"use strict";

// -- import

const isSepLine = (line) => /^\uFEFF?"?sep=.?"?\s*$/i.test(line);
const isHeader = (line) => /[\p{L}\p{N}]/u.test(line) && !isSepLine(line);

// Comma, semicolon or tab: what the header has most of, or what a line sep= says.
function separatorOf(text) {
  const lines = text.slice(0, 100_000).split(/\r\n|\n|\r/);
  const told = lines.find((line) => /[\p{L}\p{N}]/u.test(line));
  if (told && isSepLine(told)) return /sep=(.)/i.exec(told)?.[1] ?? ",";
  const count = (sign) => (lines.find(isHeader) ?? "").split(sign).length;
  return [",", ";", "\t"].reduce((best, sign) => (count(sign) > count(best) ? sign : best));
}

// Where rows end, as a CSV reader sees it: not at a line break within quotes.
function rowEnds(text) {
  const delimiter = separatorOf(text);
  const ends = [];
  let quoted = false;
  let fresh = true; // at the beginning of a value, where a quote opens
  for (let place = 0; place < text.length; place += 1) {
    const letter = text[place];
    if (quoted) {
      if (letter !== '"') continue;
      if (text[place + 1] === '"') place += 1;
      else quoted = false;
    } else if (letter === "\n" || letter === "\r") {
      if (letter === "\r" && text[place + 1] === "\n") place += 1;
      ends.push(place + 1);
      fresh = true;
    } else {
      quoted = letter === '"' && fresh;
      fresh = letter === delimiter;
    }
  }
  if (ends.at(-1) !== text.length) ends.push(text.length);
  return ends;
}

// The file in parts of so many characters; `offset` is what is added to a row's number to have that in the file.
function partsOf(text, most) {
  if (text.length <= most) return [{ text, offset: 0 }];
  const ends = rowEnds(text);
  const headerAt = ends.findIndex((end, row) => isHeader(text.slice(row ? ends[row - 1] : 0, end)));
  const json = text.trimStart().startsWith("{"); // JSON lines have no header
  const header = json ? "" : text.slice(headerAt ? ends[headerAt - 1] : 0, ends[headerAt]);
  const parts = [];
  let start = 0;
  let startRow = 0;
  ends.forEach((end, row) => {
    const last = row === ends.length - 1;
    if (!last && (row <= headerAt || ends[row + 1] - start <= most)) return;
    const rows = text.slice(start, end);
    parts.push(parts.length ? { text: header + rows, offset: json ? startRow : startRow - 1 } : { text: rows, offset: 0 });
    start = end;
    startRow = row + 1;
  });
  return parts;
}

// The text of a file, unpacked if it is compressed; its encoding is found out as domain/file_texts.py does it.
async function decoded(file) {
  let bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  }
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const sample = bytes.slice(0, 200_000);
    const beyond = new TextDecoder("windows-1251").decode(sample.filter((byte) => byte >= 0x80));
    const cyrillic = beyond.match(/[\u0401-\u0491\u2116\xab\xbb\u2013\u2014]/g)?.length ?? 0;
    const words = new TextDecoder("windows-1252").decode(sample).match(/[^\0-\x7f]{2,}/g)?.join("").length ?? 0;
    const russian = cyrillic * 10 >= beyond.length * 9 && words * 2 >= beyond.length;
    return new TextDecoder(russian ? "windows-1251" : "windows-1252").decode(bytes);
  }
}

// The id of the import that a part began; else the page that says what is wrong with it.
async function send(form, text, query) {
  const answer = await fetch(`${form.action}?${new URLSearchParams(query)}`, {
    method: "POST",
    body: text,
    headers: { "Content-Type": "text/csv", "HX-Request": "true", "X-CSRF-Token": form.elements.csrf.value },
  });
  const place = answer.headers.get("HX-Redirect");
  if (place) return { place };
  return { page: new DOMParser().parseFromString(await answer.text(), "text/html") };
}

function complain(form, text) {
  const input = form.elements.file;
  const note = form.querySelector(".error") ?? document.createElement("p");
  note.className = "error";
  note.id = "field-file-error";
  note.textContent = text;
  input.closest(".field").append(note);
  input.closest(".field").classList.add("wrong");
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", "field-file-hint field-file-error");
  input.focus();
}

async function upload(form) {
  const { most, none, large, sending, parts: mostParts } = form.dataset;
  const status = form.querySelector("[data-status]");
  const [file] = form.elements.file.files;
  if (!file) return complain(form, none);
  const text = await decoded(file);
  const parts = partsOf(text, Number(most));
  if (parts.length > Number(mostParts)) return complain(form, large);
  let begun; // where the first part is followed
  for (const [number, part] of parts.entries()) {
    status.textContent = sending.replace("{n}", number + 1).replace("{all}", parts.length);
    const { place, page } = await send(form, part.text, {
      file_name: form.elements.file.files[0].name.slice(-200),
      part_of: begun ? begun.split("/").at(-1) : "",
      row_offset: part.offset,
      parts: parts.length,
    });
    if (!place) {
      status.textContent = "";
      const told = page.querySelector("#field-file-error") ?? page.querySelector(".problems, [role=alert]");
      return complain(form, told ? told.textContent.trim() : form.dataset.failed);
    }
    if (!place.includes("/imports/")) return location.assign(place); // nobody is signed in any more
    begun ??= place;
  }
  location.assign(begun);
}

for (const form of document.querySelectorAll("form[data-upload]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    form.setAttribute("aria-busy", "true");
    try {
      await upload(form);
    } catch {
      complain(form, form.dataset.failed);
    } finally {
      button.disabled = false;
      form.removeAttribute("aria-busy");
    }
  });
}

// -- export

const language = document.documentElement.lang;
const percent = new Intl.NumberFormat(language, { style: "percent" });

async function download(link, tell) {
  const pages = [];
  let rows = 0;
  for (let next = `${link.href}${link.href.includes("?") ? "&" : "?"}limit=5000`; next; ) {
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
