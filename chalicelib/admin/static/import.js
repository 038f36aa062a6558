// Importing a file: its beginning is looked at by the server, and then all of it is sent, part by part, to be checked.
"use strict";

const HEAD = 65_536; // bytes; twice as much are sent at most

// The bytes of a file, unpacked if it is compressed.
async function bytesOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The rows of an Excel workbook as CSV, which the server makes of it, piece by piece; nothing if it cannot.
async function rowsOfWorkbook(form, bytes) {
  if (bytes.length > Number(form.dataset.largest)) return complain(form, form.dataset.workbookLarge);
  const pieces = [];
  for (let start = 0; ; ) {
    const place = new URLSearchParams({ start, sheet: form.elements.sheet.value });
    const answer = await post(form, `${form.dataset.workbook}?${place}`, bytes, "application/octet-stream");
    if (!answer.ok) {
      const problem = (await parsed(answer)).querySelector("[data-problem]");
      return complain(form, problem ? problem.textContent.trim() : form.dataset.failed);
    }
    offer(form, JSON.parse(answer.headers.get("X-Sheets") ?? "[]"));
    const piece = new Uint8Array(await answer.arrayBuffer());
    if (!piece.length) return new Uint8Array(await new Blob(pieces).arrayBuffer());
    pieces.push(piece);
    start += piece.length;
  }
}

// Let somebody choose among several sheets.
function offer(form, names) {
  const { sheet } = form.elements;
  if (sheet.options.length || names.length < 2) return;
  sheet.append(...names.map((name) => new Option(name, name)));
  form.querySelector("[data-sheets]").hidden = false;
}

// What is read of a file: its bytes, and of an archive, which a workbook is, its rows.
async function readable(form, file) {
  const bytes = await bytesOf(file);
  return bytes[0] === 0x50 && bytes[1] === 0x4b ? rowsOfWorkbook(form, bytes) : bytes;
}

// Its beginning and, if that has plain letters only, a piece from further down that tells its encoding.
function sampleOf(bytes) {
  const head = bytes.subarray(0, HEAD);
  if (head.some((byte) => byte >= 0x80) || bytes.length <= HEAD) return head;
  const place = bytes.findIndex((byte, at) => at >= HEAD && byte >= 0x80);
  if (place < 0) return head;
  const start = bytes.lastIndexOf(0x0a, place) + 1;
  return new Blob([head.subarray(0, head.lastIndexOf(0x0a) + 1), bytes.subarray(start, start + HEAD)]);
}

async function post(form, url, body, type) {
  return fetch(url, {
    method: "POST",
    body,
    headers: { "Content-Type": type, "HX-Request": "true", "X-CSRF-Token": form.elements.csrf.value },
  });
}

const parsed = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");
const tell = (form, text) => { form.querySelector("[data-status]").textContent = text; };

function complain(form, text) {
  tell(form, "");
  const input = form.elements.file;
  const note = form.querySelector("#field-file-error") ?? document.createElement("p");
  note.className = "error";
  note.id = "field-file-error";
  note.textContent = text;
  input.closest(".field").append(note);
  input.closest(".field").classList.add("wrong");
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", "field-file-hint field-file-error");
  input.focus();
}

function forgive(form) {
  form.querySelector("#field-file-error")?.remove();
  form.elements.file.closest(".field").classList.remove("wrong");
  form.elements.file.removeAttribute("aria-invalid");
  form.elements.file.setAttribute("aria-describedby", "field-file-hint");
}

// What was chosen below the file: encoding and separator, and the columns that are not as their names say.
const chosen = (form) =>
  [...form.querySelectorAll("[data-look]")].map((one) => [one.dataset.look, one.value]);
const columns = (form) =>
  [...form.querySelectorAll("[data-column]")]
    .filter((one) => one.value !== one.dataset.proposed)
    .map((one) => ["column", `${one.value}:${one.dataset.column}`]);

// What was chosen for the whole import: the country of numbers, a tag for everybody and so on.
const options = (form) =>
  Object.fromEntries(["country", "mode", "add_tag"].filter((one) => form.elements[one]).map((one) => [one, form.elements[one].value.trim()]));

// What holds for the whole upload: whether the numbers are for one mailing only.
const always = (form) => [...new URLSearchParams(form.dataset.always ?? "")];

// Ask what the file seems to be, and show it.
async function look(form, how) {
  forgive(form);
  tell(form, form.dataset.looking);
  form.bytes ??= await readable(form, form.elements.file.files[0]);
  if (!form.bytes) return;
  const answer = await post(form, `${form.dataset.at}?${new URLSearchParams([...how, ...always(form)])}`, sampleOf(form.bytes), "application/octet-stream");
  const away = answer.headers.get("HX-Redirect");
  if (away) return location.assign(away); // nobody is signed in any more
  const page = await parsed(answer);
  const problem = page.querySelector("[data-problem]");
  if (problem) {
    if (!how.length) form.querySelector("[data-shown]").replaceChildren();
    return complain(form, problem.textContent.trim());
  }
  if (!answer.ok) return complain(form, form.dataset.failed);
  form.querySelector("[data-shown]").replaceChildren(...page.body.childNodes);
  tell(form, form.dataset.looked);
  return true;
}

// The id of the import that a part began; else the page that says what is wrong with it.
async function send(form, text, query) {
  const answer = await post(form, `${form.action}?${new URLSearchParams(query)}`, text, "text/csv");
  const place = answer.headers.get("HX-Redirect");
  return place ? { place } : { page: await parsed(answer) };
}

async function upload(form) {
  const { most, none, large, sending, parts: mostParts } = form.dataset;
  const [file] = form.elements.file.files;
  if (!file) return complain(form, none);
  if (!form.querySelector("[data-column]") && !(await look(form, []))) return;
  forgive(form);
  const how = Object.fromEntries(chosen(form));
  let text;
  try {
    text = new TextDecoder(how.encoding, { fatal: true }).decode(form.bytes);
  } catch {
    return complain(form, form.dataset.encoding);
  }
  const parts = partsOf(text, Number(most), how.separator);
  if (parts.length > Number(mostParts)) return complain(form, large);
  const come = new Set((form.dataset.come ?? "").split(" ").filter(Boolean).map(Number)); // of a file that came in part
  const same = [...come].every((offset) => parts.some((part) => part.offset === offset));
  if (come.size && !(same && parts.length === Number(form.dataset.all))) return complain(form, form.dataset.other);
  let begun = form.dataset.begun; // where the first part is followed
  for (const [number, part] of parts.entries()) {
    if (come.has(part.offset)) continue;
    tell(form, sending.replace("{n}", number + 1).replace("{all}", parts.length));
    const query = { ...how, ...options(form), file_name: file.name.slice(-200), row_offset: part.offset, parts: parts.length };
    if (begun) query.part_of = begun.split("/").at(-1);
    const { place, page } = await send(form, part.text, [...Object.entries(query), ...always(form), ...columns(form)]);
    if (!place) {
      const told = page.querySelector("#field-file-error") ?? page.querySelector(".problems, [role=alert]");
      return complain(form, told ? told.textContent.trim() : form.dataset.failed);
    }
    if (!place.includes("/imports/")) return location.assign(place); // nobody is signed in any more
    begun ??= place;
  }
  location.assign(begun);
}

// Do one thing at a time, and say so.
async function busily(form, work) {
  const button = form.querySelector("button");
  button.disabled = true;
  form.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch {
    complain(form, form.dataset.failed);
  } finally {
    button.disabled = false;
    form.removeAttribute("aria-busy");
  }
}

for (const form of document.querySelectorAll("form[data-upload]")) {
  // So that the same file can be chosen again after it was put right.
  form.elements.file.addEventListener("click", (event) => { event.target.value = ""; });
  form.addEventListener("change", (event) => {
    if (event.target === form.elements.file) {
      delete form.bytes;
      form.elements.sheet.replaceChildren();
      form.querySelector("[data-sheets]").hidden = true;
      form.querySelector("[data-shown]").replaceChildren();
      if (event.target.files.length) busily(form, () => look(form, []));
    } else if (event.target === form.elements.sheet) {
      delete form.bytes;
      form.querySelector("[data-shown]").replaceChildren();
      busily(form, () => look(form, []));
    } else if (event.target.dataset.look) {
      const { id } = event.target;
      busily(form, async () => {
        if (await look(form, chosen(form))) document.getElementById(id)?.focus();
      });
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busily(form, () => upload(form));
  });
}
