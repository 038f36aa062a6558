"""Files as other programs write them: what is read of each, and what is said of what cannot be read."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib.domain.client_files import ClientFile
from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.file_texts import text_of
from chalicelib.domain.import_columns import columns_told
from chalicelib.domain.imports import ImportOptions, read_clients
from chalicelib.domain.workbooks import sheets_of
from tests.support.workbooks import workbook

CASES = Path(__file__).parents[2] / "cases"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def read(raw: bytes | str, country: str = "") -> ClientFile:
    """What a file holds."""
    text, _ = text_of(raw.encode() if isinstance(raw, str) else raw)
    return read_clients(text, NOW, ImportOptions(country=country))


def zipped(name: str) -> bytes:
    """A ZIP archive with one file, which has nothing that anybody could read."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "no")
    return file.getvalue()


def case(name: str, country: str = "") -> ClientFile:
    return read((CASES / name).read_bytes(), country)


def numbers(file: ClientFile) -> list[str]:
    return [client.phone_number for client in file.clients]


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("12_excel_cp1251_semicolon.csv", ["клиент", "вип"]),
        ("13_excel_unicode_text_utf16.txt", ["клиент"]),
        ("14_excel_sep_line.csv", ["vip"]),
        ("20_tsv.csv", ["vip"]),
    ],
)
def test_a_spreadsheets_encodings_and_separators_are_found_out(name: str, tags: list[str]) -> None:
    """Whatever the language of the spreadsheet."""
    file = case(name)
    assert ([client.tag for client in file.clients], file.errors) == (tags, [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251"])
def test_russian_words_stay_what_they_are(encoding: str) -> None:
    """In every encoding that a file may have."""
    tag = "Постоянный клиент"
    (client,) = read(f"phone_number\ttag\r\n+79161234567\t{tag}\r\n".encode(encoding)).clients
    assert client.tag == tag


@pytest.mark.parametrize("tag", ["Café", "Müller & Söhne", "señor", "naïve façade"])
def test_western_words_are_not_taken_for_russian_ones(tag: str) -> None:
    """Their letters beyond ASCII stand alone among others."""
    raw = f"phone_number,tag\n+79161234567,{tag}\n".encode("cp1252")
    assert text_of(raw)[1] == "cp1252"
    assert read(raw).clients[0].tag == tag


def test_a_byte_order_mark_may_come_twice() -> None:
    """As it does if a file is saved and saved again."""
    assert numbers(read("\ufeff\ufeffphone_number\n+79161234567\n")) == ["+79161234567"]


def test_an_encoding_can_be_chosen() -> None:
    """Expects one that does not fit to be named."""
    raw = "phone_number,tag\n+79161234567,мир\n".encode("koi8-r")
    assert "мир" in text_of(raw, "koi8-r")[0]
    for wrong in ("utf-8", "no-such-encoding"):
        with pytest.raises(Invalid) as caught:
            text_of(raw, wrong)
        assert caught.value.errors[0].fault is Fault.NOT_IN_ENCODING


def test_gzip_is_unpacked_within_bounds() -> None:
    """A small file that unpacks to a huge one is refused before it is unpacked."""
    raw = gzip.compress(b"phone_number\n+79161234567\n")
    assert numbers(read(raw)) == ["+79161234567"]
    with pytest.raises(Invalid) as caught:
        text_of(gzip.compress(b"0" * 1_000_001), most=1_000_000)
    assert caught.value.errors[0].fault is Fault.FILE_TOO_LARGE


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"PK\x03\x04xl/", "ZIP"),
        (zipped("xl/workbook.xml"), "damaged Excel"),
        (zipped("a.csv"), "a ZIP archive"),
        (b"%PDF-1.7", "PDF"),
        (b"\xd0\xcf\x11\xe0", "xls"),
        (b"\x1f\x8bno", "gzip"),
        (b"number\0tag\n", "bin"),
    ],
    ids=["cut off", "damaged", "archive", "pdf", "old Excel", "gzip", "binary"],  # an archive has the time in it
)
def test_another_kind_of_file_is_named(raw: bytes, kind: str) -> None:
    """And what to do."""
    with pytest.raises(Invalid) as caught:
        text_of(raw)
    (error,) = caught.value.errors
    assert error.fault is Fault.NOT_A_TEXT_FILE
    assert kind in str(error.values["kind"])


def test_a_workbook_is_read_with_its_row_numbers() -> None:
    """Expects the sheet that is shown, numbers with all digits, yes and no, and cells with commas and line breaks."""
    rows = [
        [],
        ["phone_number", "operator", "tag", "opted_out"],
        [79160000001.0, 916, 'a, "b"', True],
        [None],
        [79160000002, None, "мир & Co <x>", False],
        [79160000003, None, "two\nlines", None],
        ["12", None, None, None],
    ]
    file = read(workbook(rows, hidden={"Old": [["phone_number"], ["+79169999999"]]}))
    assert [(one.phone_number, one.operator, one.opted_out) for one in file.clients] == [
        ("+79160000001", "916", True),
        ("+79160000002", "916", False),
    ]
    assert [one.tag for one in file.clients] == ['a, "b"', "мир & Co <x>"]
    assert [error.row for error in file.errors] == [6, 7]  # a tag may have no line break


def test_one_of_several_sheets_is_read() -> None:
    """Expects the first that is shown, or the one that is named; what it has is told of another name."""
    raw = workbook(
        [["phone_number"], ["+79160000001"]],
        hidden={"Old": [["phone_number"]]},
        more={"Март": [["phone_number"], ["+79160000002"]]},
    )
    assert sheets_of(raw) == ["List", "Март"]
    texts = [text_of(raw, sheet=name).text.split()[1] for name in ("", "List", "Март")]
    assert texts == ["+79160000001", "+79160000001", "+79160000002"]
    for name in ("Old", "list", "x"):
        with pytest.raises(Invalid) as caught:
            text_of(raw, sheet=name)
        (error,) = caught.value.errors
        assert (error.field, error.fault, error.values) == ("sheet", Fault.NO_SUCH_SHEET, {"names": "List, Март"})


def test_a_workbook_that_unpacks_to_too_much_is_refused() -> None:
    """Expects both: XML that would fill the memory, and rows that would."""
    raw = workbook([["phone_number"], *[["+79160000001"]] * 1000])
    with pytest.raises(Invalid) as caught:
        text_of(raw, most=5_000)
    assert caught.value.errors[0].fault is Fault.FILE_TOO_LARGE
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 201_000_000)
    with pytest.raises(Invalid) as caught:
        text_of(bomb.getvalue())
    assert caught.value.errors[0].fault is Fault.FILE_TOO_LARGE


def test_an_unclosed_quotation_mark_is_named_with_what_was_not_read() -> None:
    """Rows once vanished without a word."""
    file = case("28_unclosed_quote_small.csv")
    (error,) = file.errors
    assert (error.row, error.fault, error.values) == (3, Fault.UNCLOSED_QUOTE, {"lines": 1000})
    assert numbers(file) == ["+79162790001"]


def test_a_quotation_mark_that_another_one_closes_far_below_is_named_too() -> None:
    """What stands between is one cell then, and what comes after is read."""
    file = read('phone_number,tag\n+79160000001,"a\n+79160000002,b\n+79160000003,"c"\n+79160000004,d\n')
    (error,) = file.errors
    assert (error.row, error.fault, error.values) == (2, Fault.UNCLOSED_QUOTE, {"lines": 2})
    assert numbers(file) == ["+79160000004"]


def test_a_rest_of_a_file_that_is_longer_than_a_cell_may_be_is_named() -> None:
    """The reader's own limit must not hide it."""
    text = 'phone_number,tag\n+79160000001,"a\n' + "".join(f"+7916{n:07d},t\n" for n in range(20_000))
    (error,) = read(text).errors
    assert (error.row, error.values) == (2, {"lines": 20_000})


def test_pinpoints_endpoints_are_read_from_csv_and_json_lines() -> None:
    """SMS only; the others are counted."""
    for name, others in (("07_pinpoint.csv", 1), ("08_pinpoint.jsonl", 0)):
        file = case(name)
        assert (file.rows, file.other_channels, file.errors) == (2, others, [])
        assert [client.opted_out for client in file.clients] == [False, True]
        assert file.clients[0].timezone == "Europe/Moscow"
        assert file.columns["User.UserId"] == "user_id"
        assert [client.external_id for client in file.clients] == ["u1", "u2"]


def test_a_line_that_is_no_json_object_is_rejected_by_its_number() -> None:
    """And the others are read."""
    file = read('{"phone_number": "+79160000001", "opted_out": true}\nno\n[1]\n\n{"phone_number": 79160000002}\n')
    assert [error.row for error in file.errors] == [2, 3]
    assert [(one.phone_number, one.opted_out) for one in file.clients] == [
        ("+79160000001", True),
        ("+79160000002", False),
    ]


def test_exports_of_other_programs_are_read_by_their_headers() -> None:
    """And columns that no field is are left out, and named."""
    mailchimp = case("02_mailchimp.csv", "US")
    assert numbers(mailchimp) == ["+79160100003", "+12125550147"]
    assert [client.tags for client in mailchimp.clients] == [("VIP", "Blog"), ()]
    assert {"Email Address", "NOTES"} <= set(mailchimp.left_out)
    onesignal = case("06_onesignal.csv")
    assert [client.opted_out for client in onesignal.clients] == [False, True]
    google = case("10_google_contacts.csv")
    assert numbers(google) == ["+79160100015"]
    assert [error.fault for error in google.errors] == [Fault.PHONE_TWO_NUMBERS]
    assert case("17_pandas_floats.csv").errors == []


def test_hubspot_brevo_segment_and_outlook_are_read_by_their_headers() -> None:
    """A mobile is taken before a landline, and digits of an international number need no plus."""
    hubspot = case("03_hubspot.csv")
    assert numbers(hubspot) == ["+79160100021", "+79160100022"]
    assert [client.timezone for client in hubspot.clients] == ["Europe/Moscow", "UTC"]
    assert "Phone Number" in hubspot.left_out
    assert [client.external_id for client in hubspot.clients] == ["101", "102"]
    assert numbers(case("04_brevo.csv")) == ["+79160100023", "+33612345678"]
    segment = case("09_segment.jsonl")
    assert numbers(segment) == ["+79160100026", "+79160100027"]
    assert [client.external_id for client in segment.clients] == ["s1", "s2"]
    assert (segment.clients[0].timezone, segment.clients[0].language) == ("Europe/Moscow", "ru-RU")
    outlook = case("11_outlook.csv")
    assert numbers(outlook) == ["+79160100028", "+79160100029"]
    for file in (hubspot, segment, outlook):
        assert file.errors == []


def test_listmonks_attributes_become_columns_and_its_blocklist_opts_out() -> None:
    """Where the number stands among the attributes; whoever has none is rejected by name."""
    file = case("05_listmonk.csv")
    assert [(one.phone_number, one.opted_out) for one in file.clients] == [
        ("+79160100024", False),
        ("+79160100025", True),
    ]
    assert [dict(one.attributes) for one in file.clients] == [{"city": "Moscow"}, {"visits": 3}]
    assert [(error.row, error.field) for error in file.errors] == [(4, "phone_number")]
    assert file.rejects[0].cells[1] == "carl@example.com"
    broken = 'uuid,attributes,status,phone\nu,{no json,enabled,+79160000001\nu,"[1]",paused,+79160000002\nu\n'
    assert [(error.row, error.field) for error in read(broken).errors] == [(3, "opted_out"), (4, "phone_number")]


@pytest.mark.parametrize(
    "header",
    [
        "Phone Number",
        "PHONE",
        "Mobile",
        "SMS",
        "Address",
        "Телефон",
        "номер телефона",
        "Phone 1 - Value",
        "Handynummer",
    ],
)
def test_a_column_of_numbers_has_many_names(header: str) -> None:
    """In the languages and spellings that exports have."""
    assert numbers(read(f"x,{header}\n1,+79161234567\n")) == ["+79161234567"]


def test_the_column_of_mobiles_is_taken_before_any_other_phone() -> None:
    """The other is left out, and named."""
    file = read("Phone,Mobile\n+74951234567,+79161234567\n")
    assert (numbers(file), file.left_out) == (["+79161234567"], ["Phone"])


def test_opted_out_comes_in_the_words_of_peoples_files() -> None:
    """An empty cell says nothing; a word that nobody knows rejects its row."""
    file = case("29_optout_words.csv")
    assert file.errors == []
    out = {client.phone_number[-2:] for client in file.clients if client.opted_out}
    assert {"00", "02", "04", "05", "07", "09", "11"} <= out
    assert out.isdisjoint({"01", "03", "06", "08", "10", "12"})
    (error,) = read("phone_number,opted_out\n+79161234567,perhaps\n").errors
    assert (error.field, error.values) == ("opted_out", {"value": "'perhaps'"})


@pytest.mark.parametrize(
    ("header", "cell", "opted_out"),
    [
        ("subscribed", "no", True),
        ("subscribed", "yes", False),
        ("Subscribed", "unsubscribed", True),
        ("OptOut", "ALL", True),
        ("OptOut", "NONE", False),
        ("EndpointStatus", "INACTIVE", True),
        ("EndpointStatus", "ACTIVE", False),
        ("unsubscribed", "1", True),
        ("Отписан", "да", True),
    ],
)
def test_a_column_may_say_who_is_subscribed(header: str, cell: str, opted_out: bool) -> None:
    """Then yes means no opt-out."""
    (client,) = read(f"phone_number,{header}\n+79161234567,{cell}\n").clients
    assert client.opted_out is opted_out


def test_of_two_columns_one_opt_out_is_enough() -> None:
    """Whichever says so."""
    text = "phone_number,OptOut,EndpointStatus\n+79160000001,NONE,INACTIVE\n+79160000002,ALL,ACTIVE\n"
    assert [client.opted_out for client in read(text).clients] == [True, True]


def test_blank_rows_and_empty_columns_are_passed_over() -> None:
    """Row numbers are the spreadsheet's all the same."""
    file = case("23_blank_and_trailing.csv")
    assert numbers(file) == ["+79160230001", "+79160230003"]
    assert [(error.row, error.field) for error in file.errors] == [(8, "row"), (9, "phone_number")]


ZONES_OF_CASE = {
    "Russian Standard Time": "Europe/Moscow",
    **{"europe/moscow": "Europe/Moscow", "Europe\\Moscow": "Europe/Moscow", "utc": "UTC", "Z": "UTC"},
    "europe_slash_moscow": "Europe/Moscow",
    **{"GMT+3": "Etc/GMT-3", "UTC+3": "Etc/GMT-3", "+03:00": "Etc/GMT-3"},
}
NO_ZONES = ["MSK", "Moscow", "(UTC+03:00) Moscow", "3"]


def test_tags_are_what_people_see_in_their_files() -> None:
    """Expects the two spellings of a word to be one, spaces to be plain, and what cannot be seen to be gone."""
    file = case("33_tags.csv")
    assert [client.tag for client in file.clients] == [
        *("=SUM(A1)", "=SUM(A1)", "'x", "'x", "-5%", "@home", "NBSP tag"),
        *(
            "👨\u200d👩\u200d👧 family",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "Café",
            "Café",
            "VIP",
            "vip",
            "я" * 64,
        ),
        *('comma, quote " semi;', "lead tab", "softhyphen", "日本語 全角", "'=y", "|pipe"),
    ]
    assert [(one.row, one.field, one.fault) for one in file.errors] == [
        (16, "tag", Fault.TOO_LONG),
        (18, "tag", Fault.CONTROL_CHARACTERS),
    ]


def test_time_zones_come_in_the_spellings_of_peoples_files() -> None:
    """Names in any case and offsets are understood; what could mean several zones is refused with what to write."""
    rows = list(csv.reader(io.StringIO((CASES / "34_timezones.csv").read_text("utf-8"))))[1:]
    file = case("34_timezones.csv")
    assert [error.value for error in file.errors] == NO_ZONES
    assert {error.fault for error in file.errors} == {Fault.TIME_ZONE}
    expected = [ZONES_OF_CASE.get(zone.strip(), zone.strip()) for _, zone in rows if zone not in NO_ZONES]
    assert [client.timezone for client in file.clients] == expected


@pytest.mark.parametrize(
    ("cell", "zone"),
    [
        ("UTC-5", "Etc/GMT+5"),
        ("gmt \u22123", "Etc/GMT+3"),
        ("-0800", "Etc/GMT+8"),
        ("UTC+14:00", "Etc/GMT-14"),
        ("UTC+0", "UTC"),
        ("america/new york", "America/New_York"),
        ("america_slash_port_hyphen_au_hyphen_prince", "America/Port-au-Prince"),
        ("Russian Standard Time", "Europe/Moscow"),
        ("pacific standard time", "America/Los_Angeles"),
        ("Standard Time", None),
        ("UTC-02", "Etc/GMT+2"),
        ("UTC+15", None),
        ("UTC+05:30", None),
        ("+3", None),
    ],
)
def test_an_offset_from_utc_is_the_zone_that_always_has_it(cell: str, zone: str | None) -> None:
    """Its sign is never the other way round, and half an hour is never left out. Windows' names are understood."""
    file = read(f"phone_number,timezone\n+79161234567,{cell}\n")
    assert [client.timezone for client in file.clients] == ([zone] if zone else [])


# -- which column is which field


def mapped(text: str, *told: str, separator: str = "") -> ClientFile:
    return read_clients(text, NOW, ImportOptions(columns=columns_told(told), separator=separator))


def test_columns_can_be_chosen() -> None:
    """Any column can be any field, and a chosen field is read from no other column."""
    text = "Mobile,Other number,Plan,Tag\n+79160000001,+79160000002,gold,vip\n"
    file = mapped(text, "phone_number:Other number", "tag:Plan")
    assert [(one.phone_number, one.tag) for one in file.clients] == [("+79160000002", "gold")]
    assert file.columns == {"Mobile": "", "Other number": "phone_number", "Plan": "tag", "Tag": ""}
    assert file.left_out == ["Mobile", "Tag"]


def test_a_column_can_be_left_out() -> None:
    """Its name may have a colon; what is said in it does not count."""
    file = mapped("phone_number,opted_out,x:y\n+79160000001,yes,1\n", ":opted_out", ":x:y")
    assert [one.opted_out for one in file.clients] == [False]
    assert file.left_out == ["opted_out", "x:y"]


def test_a_column_can_be_told_to_say_who_is_subscribed() -> None:
    """The opposite of opted_out."""
    (client,) = mapped("phone_number,Newsletter\n+79160000001,no\n", "subscribed:Newsletter").clients
    assert client.opted_out


@pytest.mark.parametrize(
    ("told", "field", "fault"),
    [
        ("phone_number", "column", Fault.COLUMN_RULE),
        ("phone_number:", "column", Fault.COLUMN_RULE),
        ("name:Plan", "column", Fault.NOT_A_CHOICE),
        ("tag:Plam", "column", Fault.NO_SUCH_COLUMN),
        (":Mobile", "header", Fault.NO_PHONE_NUMBER_COLUMN),
    ],
)
def test_a_wrong_choice_of_column_is_named(told: str, field: str, fault: Fault) -> None:
    """A typing error must not import a file without that column."""
    with pytest.raises(Invalid) as caught:
        mapped("Mobile,Plan\n+79160000001,x\n", told)
    assert [(error.field, error.fault) for error in caught.value.errors] == [(field, fault)]


def test_a_field_is_told_of_one_column_only() -> None:
    """Which of two is meant cannot be known."""
    with pytest.raises(Invalid) as caught:
        mapped("Mobile,Plan,Kind\n+79160000001,x,y\n", "tag:Plan", "tag:Kind")
    assert [error.fault for error in caught.value.errors] == [Fault.FIELD_TWICE]


def test_a_separator_can_be_chosen() -> None:
    """If the header misleads."""
    text = "phone_number|tag,kind\n+79160000001|a,b\n"
    file = mapped(text, "tag:tag,kind", separator="|")
    assert ([one.tag for one in file.clients], file.separator) == (["a,b"], "|")
