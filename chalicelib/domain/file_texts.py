"""The text of a file: detects its encoding, and names the kind of file if it is not text."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from .errors import Invalid
from .faults import Fault
from .workbooks import csv_of_workbook, is_workbook

MAX_TEXT = 100_000_000  # bytes that may come out of a compressed file
# How other kinds of files begin.
_KINDS: Sequence[tuple[bytes, str]] = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"%PDF", "a PDF"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"(\xb5/\xfd", "a Zstandard archive"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
)
# Names of encodings that both Python and browsers know.
ENCODINGS = (
    "utf-8",
    "utf-16le",
    "utf-16be",
    "cp1251",
    "cp1252",
    "koi8-r",
    "ibm866",
    "shift_jis",
    "gb18030",
)
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be"))
_CYRILLIC = re.compile("[\u0401-\u0491\u2116\xab\xbb\u2013\u2014]")  # letters, and marks that stand beside them


class FileText(NamedTuple):
    """The text of a file, and the name of the encoding that it was in."""

    text: str
    encoding: str


def text_of(raw: bytes, encoding: str = "", most: int = MAX_TEXT, sheet: str = "") -> FileText:
    """The text of a file, unpacked if it is compressed with gzip; of an Excel workbook, the rows of a sheet as CSV.

    `encoding` overrides the detected one. Raises Invalid if it is another kind of file, if it is not in that encoding,
    or if it unpacks to more than `most` bytes.
    """
    raw = _unpacked(raw, most)
    if is_workbook(raw):
        return FileText(csv_of_workbook(raw, most, sheet), "utf-8")
    return _decoded(raw, encoding, whole=True)


def text_of_sample(raw: bytes, encoding: str = "") -> FileText:
    """The text of a piece of a file, which may end in the middle of a character. Raises Invalid as `text_of` does."""
    return _decoded(raw, encoding, whole=False)


def _decoded(raw: bytes, encoding: str, *, whole: bool) -> FileText:
    for beginning, kind in _KINDS:
        if raw.startswith(beginning):
            raise Invalid.of("file", Fault.NOT_A_TEXT_FILE, kind=kind)
    name = encoding or encoding_of(raw, whole=whole)
    try:
        cut = not whole and name in ENCODINGS
        text = codecs.getincrementaldecoder(name)().decode(raw) if cut else raw.decode(name)
    except (UnicodeDecodeError, LookupError) as error:
        raise Invalid.of("file", Fault.NOT_IN_ENCODING, encoding=name) from error
    text = text.lstrip("\ufeff")
    if "\x00" in text:
        raise Invalid.of("file", Fault.NOT_A_TEXT_FILE, kind="a binary file")
    return FileText(text, name)


def encoding_of(raw: bytes, *, whole: bool = True) -> str:
    """The encoding that a text seems to be in: UTF-8 or UTF-16 if it can be, else Windows-1251 or Windows-1252."""
    for mark, name in _BOMS:
        if raw.startswith(mark):
            return name
    sample = raw[:4000]
    if sample.count(0) > len(sample) // 4:
        return "utf-16le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw, final=whole)
    except UnicodeDecodeError:
        return _single_byte(raw)
    return "utf-8"


def _single_byte(raw: bytes) -> str:
    """Windows-1251 if the bytes beyond ASCII are Russian letters, else Windows-1252."""
    beyond = bytes(byte for byte in raw[:200_000] if byte >= 0x80).decode("cp1251", "replace")
    words = re.findall(rb"[\x80-\xff]{2,}", raw[:200_000])  # Western letters stand alone, Russian ones in words
    cyrillic = len(_CYRILLIC.findall(beyond))
    return "cp1251" if cyrillic * 10 >= len(beyond) * 9 and sum(map(len, words)) * 2 >= len(beyond) else "cp1252"


def _unpacked(raw: bytes, most: int) -> bytes:
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(raw, most + 1)
    except zlib.error as error:
        raise Invalid.of("file", Fault.NOT_A_TEXT_FILE, kind="a damaged gzip archive") from error
    if len(text) > most:
        raise Invalid.of("file", Fault.FILE_TOO_LARGE, most=most)
    return text
