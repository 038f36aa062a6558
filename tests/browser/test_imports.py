"""Importing clients in a real browser: the file is looked at, checked, and followed; an export is one file."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.workbooks import workbook


def test_a_file_is_imported_part_by_part_and_exported_again(page: Page, directory: Path) -> None:
    """Expects progress without a reload, rows numbered as in the file, and the imported rows in the export."""
    lines = ["phone_number;tag;timezone"]
    lines += [f"+7997000{number:04d};imported;Europe/Moscow" for number in range(300)]
    lines[100] = "12;imported;Mars/Olympus"
    lines[250] = '+79970000249;"imported\nand broken";UTC'  # one row on two lines
    lines[280] = "+79970000000;imported;UTC"  # the first row's number
    file = directory / "clients.csv"
    file.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    page.goto("/admin/clients/import")
    page.locator("[data-upload]").evaluate("(form) => { form.dataset.most = 2000; }")
    page.locator("#field-file").set_input_files(file)
    expect(page.get_by_role("combobox", name="timezone", exact=True)).to_have_value("timezone")
    page.get_by_role("button", name="Check all rows").click()
    page.wait_for_url("**/admin/clients/imports/*")
    expect(page.locator("main")).to_contain_text("300 rows in the file")
    expect(page.locator("#progress")).to_contain_text("297 new")
    page.get_by_role("button", name="Import 297 clients").click()
    expect(page.locator("#progress .status")).to_have_text("finished", timeout=30_000)
    rows = [row.split("\t") for row in page.locator("tbody").inner_text().splitlines()]
    assert [row[:2] for row in rows] == [
        ["101", "phone_number"],
        ["101", "timezone"],
        ["251", "tag"],
        ["281", "phone_number"],
    ]
    page.goto("/admin/clients?tag=imported")
    expect(page.locator("main")).to_contain_text("297 clients")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    download.value.save_as(directory / "export.csv")
    exported = (directory / "export.csv").read_text(encoding="utf-8").splitlines()
    assert exported[0].startswith("id,phone_number")
    assert len(set(exported)) == len(exported) == 298


def test_an_interrupted_upload_is_continued(page: Page, directory: Path) -> None:
    """Expects only the missing parts to be sent, and another file to be refused."""
    lines = ["phone_number,tag"] + [f"+7997100{number:04d},halves" for number in range(300)]
    file, other = directory / "halves.csv", directory / "other.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    other.write_text("\n".join(lines[:150]), encoding="utf-8")
    smaller = "(form) => { form.dataset.most = 2000; }"
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "row_offset=" in request.url else None)

    page.goto("/admin/clients/import")
    page.locator("[data-upload]").evaluate(smaller)
    page.locator("#field-file").set_input_files(file)
    expect(page.get_by_role("combobox", name="tag", exact=True)).to_have_value("tag")
    page.route("**/admin/clients/import?*part_of=*", lambda route: route.fulfill(body=""))
    page.get_by_role("button", name="Check all rows").click()
    expect(page.locator("#field-file-error")).to_contain_text("The connection was lost.")
    page.unroute("**/admin/clients/import?*part_of=*")

    page.goto("/admin/clients/imports")
    page.get_by_role("link", name="halves.csv").click()
    page.get_by_role("link", name="Send the missing parts").click()
    page.locator("[data-upload]").evaluate(smaller)
    page.locator("#field-file").set_input_files(other)
    expect(page.get_by_role("combobox", name="tag", exact=True)).to_have_value("tag")
    page.get_by_role("button", name="Check all rows").click()
    expect(page.locator("#field-file-error")).to_contain_text("This is another file.")
    sent.clear()
    page.locator("#field-file").set_input_files(file)
    expect(page.get_by_role("combobox", name="tag", exact=True)).to_have_value("tag")
    page.get_by_role("button", name="Check all rows").click()
    page.wait_for_url("**/admin/clients/imports/*")
    expect(page.locator("#progress")).to_contain_text("300 new")
    assert sent
    assert all("row_offset=0&" not in url for url in sent)


def test_a_file_of_another_kind_is_reported_beside_the_field(page: Page, directory: Path) -> None:
    """Expects the page to name a wrong encoding and wrong columns, and the form to stay usable."""
    page.goto("/admin/clients/import")
    for name, content, told in (
        ("other.csv", b"one,two\n1,2\n", "must have a column phone_number"),
        ("empty.csv", b"", "must have a column phone_number"),
    ):
        file = directory / name
        file.write_bytes(content)
        page.locator("#field-file").set_input_files(file)
        expect(page.locator("[data-status]")).to_have_text("Check which column is what.")
        page.get_by_role("button", name="Check all rows").click()
        expect(page.locator("#field-file-error")).to_contain_text(told)
        expect(page.locator("#field-file")).to_be_focused()
    file = directory / "letter.pdf"
    file.write_bytes(b"%PDF-1.7")
    page.locator("#field-file").set_input_files(file)
    expect(page.locator("#field-file-error")).to_contain_text("it is a PDF")
    expect(page.locator("#field-file")).to_be_focused()


def test_columns_and_encoding_are_chosen_by_keyboard_and_remembered(page: Page, directory: Path) -> None:
    """Expects a guess that can be changed, the focus to stay, and the choice to be there for the next such file."""
    file = directory / "letters.csv"
    lines = ["Номер;План", *(f"+7996000{number:04d};plain" for number in range(8_000)), "+79960009999;золото"]
    file.write_bytes("\n".join(lines).encode("cp1251"))  # its Russian letters stand far below, but for the header
    page.goto("/admin/clients/import")
    page.locator("#field-file").set_input_files(file)
    expect(page.get_by_label("Encoding")).to_have_value("cp1251")
    expect(page.get_by_label("Separator")).to_have_value(";")
    page.get_by_label("Encoding").select_option("koi8-r")
    expect(page.get_by_role("combobox", name="мНЛЕП")).to_be_visible()
    expect(page.get_by_label("Encoding")).to_be_focused()
    expect(page.locator("[data-shown]")).to_contain_text("Choose the column that has the phone numbers.")
    page.get_by_label("Encoding").select_option("utf-8")
    expect(page.locator("#field-file-error")).to_contain_text("not in the encoding")
    page.get_by_label("Encoding").select_option("cp1251")
    expect(page.locator("#field-file-error")).to_have_count(0)
    page.get_by_role("combobox", name="План").select_option("tag")
    page.get_by_role("button", name="Check all rows").click()
    expect(page.get_by_role("button", name="Import 8,001 clients")).to_be_visible(timeout=30_000)
    expect(page.locator("#columns")).to_contain_text("Windows-1251")
    page.get_by_role("link", name="Choose another file, or other columns").click()
    page.locator("#field-file").set_input_files(file)
    expect(page.get_by_role("combobox", name="План")).to_have_value("tag")
    page.get_by_role("link", name="Imports").click()
    expect(page.get_by_role("row").filter(has_text="letters.csv")).to_contain_text("checked, not imported")


def test_an_encoding_is_recognised_by_letters_far_down_in_the_file(page: Page, directory: Path) -> None:
    """Expects a file to be read correctly if its first letter beyond ASCII comes after a hundred kilobytes."""
    file = directory / "far.csv"
    lines = ["phone_number,tag", *(f"+7995000{number:04d},plain" for number in range(5_000)), "+79950009999,золото"]
    file.write_bytes("\r\n".join(lines).encode("cp1251"))
    page.goto("/admin/clients/import")
    page.locator("#field-file").set_input_files(file)
    expect(page.get_by_label("Encoding")).to_have_value("cp1251")
    page.get_by_role("button", name="Check all rows").click()
    expect(page.get_by_role("button", name="Import 5,001 clients")).to_be_visible(timeout=30_000)


def test_a_sheet_of_a_workbook_is_chosen(page: Page, directory: Path) -> None:
    """Expects the first sheet to be shown until another is chosen, and no choice if there is only one."""
    file = directory / "sheets.xlsx"
    file.write_bytes(workbook([["Mobile"], [79940001000]], more={"March": [["Phone"], [79940001001]]}))
    page.goto("/admin/clients/import")
    expect(page.get_by_label("Sheet of the workbook")).to_be_hidden()
    page.locator("#field-file").set_input_files(file)
    expect(page.get_by_role("combobox", name="Mobile")).to_have_value("phone_number")
    page.get_by_label("Sheet of the workbook").select_option("March")
    expect(page.get_by_role("combobox", name="Phone")).to_have_value("phone_number")
    file = directory / "one.xlsx"
    file.write_bytes(workbook([["Mobile"], [79940001000]]))
    page.locator("#field-file").set_input_files(file)
    expect(page.get_by_role("combobox", name="Mobile")).to_have_value("phone_number")
    expect(page.get_by_label("Sheet of the workbook")).to_be_hidden()


def test_a_workbook_is_imported_like_any_other_list(page: Page, directory: Path) -> None:
    """Expects its columns to be shown, and an error that names a workbook without a list."""
    file = directory / "list.xlsx"
    file.write_bytes(workbook([["Mobile", "Kind"], *([79940000000 + n, "мир"] for n in range(30))]))
    page.goto("/admin/clients/import")
    page.locator("#field-file").set_input_files(file)
    expect(page.get_by_role("combobox", name="Mobile")).to_have_value("phone_number")
    expect(page.locator("[data-shown]")).to_contain_text("мир")
    page.get_by_role("button", name="Check all rows").click()
    page.get_by_role("button", name="Import 30 clients").click()
    expect(page.locator("#progress .status")).to_have_text("finished", timeout=30_000)
    page.goto("/admin/clients/import")
    file = directory / "other.xlsx"
    file.write_bytes(b"PK\x03\x04")
    page.locator("#field-file").set_input_files(file)
    expect(page.locator("#field-file-error")).to_contain_text("it is a ZIP archive")
