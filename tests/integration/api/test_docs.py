"""/api/schema/ and /api/docs/: served without a token, and with nothing from other places."""

from __future__ import annotations

import re

import pytest

from tests.support.api import Api, new_api


def test_the_schema_has_the_callers_prefix(api: Api) -> None:
    """Behind a stage of API Gateway, or a proxy that names the prefix it hides."""
    assert api.get("/api/schema/", token="-").json["servers"] == [{"url": "/"}]
    behind = api.get("/api/schema/", headers={"X-Forwarded-Prefix": "/service"})
    assert behind.json["servers"] == [{"url": "/service"}]


def test_links_have_localstacks_longer_address() -> None:
    """Expects the path before the stage in them, unless the host belongs to the API as on AWS, or a proxy hides it."""
    with new_api(api_address_prefix="/_aws/execute-api") as api:

        def link(**headers: str) -> str:
            return str(api.get("/", headers=headers).json["health"])

        assert link(Host="127.0.0.1:4566") == "/_aws/execute-api/local/health"
        assert link(Host="local.execute-api.localhost.localstack.cloud:4566") == "/health"
        assert link(**{"X-Forwarded-Prefix": "/"}) == "/health"


@pytest.mark.parametrize("prefix", ["", "/service"])
def test_the_page_loads_only_our_own_files(api: Api, prefix: str) -> None:
    """Expects each script and style to exist, and the policy to allow no other place."""
    page = api.get("/api/docs/", headers={"X-Forwarded-Prefix": prefix})
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    links = re.findall(r'(?:src|href|data-schema)="([^"]+)"', page.text)
    own = [link for link in links if not link.startswith("data:")]
    assert len(own) == 4
    for link in own:
        assert link.startswith(f"{prefix}/api/")
        assert api.get(link.removeprefix(prefix)).status == 200
