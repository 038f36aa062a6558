"""A template, from its form to a mailing that is made from it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.local_run import LocalRun
from tests.support.orders import add_clients


def test_a_template_is_saved_and_used_for_a_mailing(page: Page, run: LocalRun) -> None:
    """Expects a preview while it is written, and its text in the form of the mailing."""
    add_clients(run, 1, tag="template")
    page.get_by_role("link", name="Templates").click()
    page.get_by_role("link", name="Create a template").click()
    page.get_by_label("Name").fill("Order has come")
    page.get_by_label("Text", exact=True).fill("Hello {{first_name|friend}}, your order has come")
    expect(page.locator("#preview")).to_contain_text("Hello friend, your order has come")
    page.get_by_role("button", name="Create template").click()
    expect(page.get_by_role("heading", name="Version 1")).to_be_visible()
    page.get_by_role("link", name="Use in a new mailing").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value("Hello {{first_name|friend}}, your order has come")
    page.goto("/admin/mailings/new")
    page.get_by_label("Start from a template").select_option("Order has come")
    page.get_by_role("button", name="Use", exact=True).click()
    expect(page.get_by_label("Text", exact=True)).to_have_value("Hello {{first_name|friend}}, your order has come")
