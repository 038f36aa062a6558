"""What a real LocalStack shows beyond the tests for every engine: its own CloudFormation, queues and API gateway."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
import requests

from infra.deploy import stack_name
from tests.support.deployment import STAGE, Deployment
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, wait_until
from tests.support.orders import add_clients, mailing, order, statuses, wait_for_end

pytestmark = pytest.mark.localstack
BOUND = 180.0  # seconds; functions start slowly in an emulator


def test_a_paused_mailing_waits_and_reaches_everyone_once(
    api: ApiCaller, run: Deployment, gateway: FaultyGateway
) -> None:
    """Expects no call later than two seconds after the pause, and the rest once it is resumed."""
    add_clients(run, 60, tag="pause")
    mailing_id = order(api, "pause", rate_limit=10)
    wait_until(lambda: len(gateway.heard) >= 5, BOUND)
    api.call("POST", f"/api/mailing/{mailing_id}/pause/")
    paused = gateway.heard[-1].at
    wait_until(lambda: mailing(api, mailing_id)["status"] == "paused", BOUND)
    api.call("POST", f"/api/mailing/{mailing_id}/resume/")
    assert wait_for_end(api, mailing_id, BOUND)["status"] == "finished"
    assert statuses(api, mailing_id) == {"sent": 60}
    assert set(gateway.calls().values()) == {1}
    assert gateway.heard[-1].at > paused


def test_poison_reaches_the_dead_letters_and_hurts_nobody(
    api: ApiCaller, run: Deployment, gateway: FaultyGateway
) -> None:
    """Expects a queue message that is no hint to become a dead letter, and the mailing beside it to reach everyone."""
    add_clients(run, 10, tag="poison")
    with run.services() as services:
        services.queues["send"].send(["poison"])
    mailing_id = order(api, "poison")
    assert wait_for_end(api, mailing_id, BOUND)["counts"]["sent"] == 10
    assert set(gateway.calls().values()) == {1}

    def letters() -> list[str]:
        return [row["body"] for row in api.call("GET", "/api/dead-letters/")["rows"]]

    wait_until(lambda: "poison" in letters(), BOUND, every=0.5)


def test_a_file_of_clients_is_imported(api: ApiCaller) -> None:
    """Expects the dispatcher to write rows in the background, and the wrong row to be reported."""
    rows = "".join(f"+7917000{number:04d},imported\n" for number in range(300))
    headers = {"Content-Type": "text/csv"}
    answer = api.request(
        "POST", "/api/clients/imports/", None, data=f"phone_number,tag\n{rows}1,bad\n", headers=headers
    )
    assert answer.status_code == 201, answer.text
    path = "/api/clients/imports/" + answer.json()["id"]
    wait_until(lambda: api.call("GET", path)["status"] == "finished", BOUND, every=0.3)
    assert api.call("GET", path)["rejected"] == 1
    assert len(api.rows("/api/clients/", tag="imported")) == 300


def test_people_can_sign_in_to_the_admin_ui(run: Deployment) -> None:
    """Expects a page after signing in, below the emulator's own prefix, and the sign-in form before."""
    with requests.Session() as browser:
        browser.trust_env = False
        asked = browser.get(f"{run.url}/admin/clients", timeout=60)
        assert asked.url.startswith(f"{run.url}/admin/login")
        form = {"username": "admin", "password": run.password}
        page = browser.post(f"{run.url}/admin/login", form, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60)
        assert (page.status_code, page.url) == (200, f"{run.url}/admin")
        assert browser.get(f"{run.url}/admin/clients", timeout=60).status_code == 200
        (script,) = set(re.findall(r'src="([^"]*htmx[^"]*)"', page.text))
        assert requests.get(run.endpoint + script, timeout=60).status_code == 200


def test_metrics_need_a_token(api: ApiCaller, run: Deployment) -> None:
    """Expects the metrics with a token, and a problem without."""
    assert 'message_service_mailings{status="running"}' in api.request("GET", "/metrics").text
    refused = requests.get(f"{run.url}/metrics", timeout=60)
    assert (refused.status_code, refused.headers["Content-Type"]) == (401, "application/problem+json")
    assert refused.headers["WWW-Authenticate"] == "Bearer"


def _reported(run: Deployment, url: str, body: str, media_type: str = "application/json") -> int:
    """The status of the answer to a gateway that calls its URL, whose host is known to LocalStack alone."""
    called = urlsplit(url)
    headers = {"Host": called.netloc, "Content-Type": media_type}
    there = f"{run.endpoint}{called.path}?{called.query}"
    return requests.post(there, data=body, headers=headers, timeout=BOUND).status_code


@pytest.mark.changes_code
def test_receipts_reach_the_receivers_own_url(api: ApiCaller, run: Deployment, gateway: FaultyGateway) -> None:
    """Expects a JSON and a form (which comes as base64) to be counted, and a wrong secret and a large body to be
    refused."""
    run.deploy(GATEWAY_RECEIPTS="true", RECEIPT_ADDRESS="function")
    add_clients(run, 2, tag="receipts")
    mailing_id = order(api, "receipts")
    assert wait_for_end(api, mailing_id, BOUND)["counts"]["sent"] == 2
    first, second = (heard.receipt_url for heard in gateway.heard)
    assert ".lambda-url." in first
    assert _reported(run, first, '{"status": "delivered"}') == 200
    assert _reported(run, second, "status=delivered", "application/x-www-form-urlencoded") == 200
    assert _reported(run, re.sub("/[0-9a-f]{40}", "/" + 40 * "0", first), "{}") == 404
    assert _reported(run, first, "x" * 70_000) == 413

    def delivered() -> int:
        return int(api.call("GET", f"/api/mailing/{mailing_id}/stats/")["delivery"]["delivered"])

    wait_until(lambda: delivered() == 2, BOUND, every=0.5)


@pytest.mark.changes_code
def test_the_next_stack_uses_what_a_removed_one_kept(api: ApiCaller, run: Deployment, gateway: FaultyGateway) -> None:
    """Expects `make destroy` and `make deploy` to lose no user, client or work, where CloudFormation cannot import."""
    add_clients(run, 25, tag="kept")
    first = order(api, "kept")
    assert wait_for_end(api, first, BOUND)["counts"]["sent"] == 25
    password = run.password
    kept = "\n".join(run.destroy())
    assert f"{stack_name(STAGE)}-clients" in kept
    lines = run.deploy()
    assert not [line for line in lines if "password" in line], "the users were lost"
    assert "  Nothing has changed" in run.deploy()
    again = ApiCaller(run, password)
    assert mailing(again, first)["counts"]["sent"] == 25
    assert len(again.rows("/api/clients/", tag="kept")) == 25
    second = order(again, "kept")
    assert wait_for_end(again, second, BOUND)["counts"]["sent"] == 25
    assert set(gateway.calls().values()) == {1}
    assert gateway.heard[-1].authorization == "Bearer the-token"
    again.close()
