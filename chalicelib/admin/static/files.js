// Rows of CSV: where they end, and a file in parts.
"use strict";

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
function rowEnds(text, delimiter = separatorOf(text)) {
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
function partsOf(text, most, separator) {
  if (text.length <= most) return [{ text, offset: 0 }];
  const ends = rowEnds(text, separator || undefined);
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
