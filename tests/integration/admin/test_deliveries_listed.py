"""The list of mailings shows it if a mailing was sent, but half of it was not delivered."""

from __future__ import annotations

from tests.support.browsing import Browser, text_of
from tests.support.campaign import new_campaign
from tests.support.receipts import delivered, tell, undelivered

WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 1}


def test_the_list_shows_what_was_delivered() -> None:
    """Expects nothing about delivery if receipts are off."""
    for wanted in (True, False):
        with new_campaign(
            workers_of=WORKERS, gateway_receipts=wanted, public_url="https://service.example"
        ) as campaign:
            simulation = campaign.simulation
            simulation.add_clients(4)
            mailing = simulation.create_mailing()
            simulation.run_until_finished(mailing)
            if wanted:
                first, second, *_ = simulation.rows(mailing)
                tell(simulation, delivered(first), undelivered(second))
                simulation.run_for(20)
            browser = Browser(campaign.api)
            browser.sign_in()
            listed = text_of(browser.get("/admin/mailings"))
            got = "3 of 4 people got it. 1 did not: not delivered." if wanted else "4 of 4 people got it."
            assert got in listed
            assert ("delivered: 1 not delivered: 1" in listed) is wanted
