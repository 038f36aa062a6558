"""docker-compose.yml, checked without Docker: valid, pinned, on loopback, in order, and with all that it mounts and
runs."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.compose.__main__ import main, write_settings
from infra.local.api_client import CallFailed, Target
from infra.local.demo import target
from tests.support.programs import compose, program

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "docker-compose.yml", ROOT / "docker-compose.ministack.yml"]
API = "http://emulator:4566/_aws/execute-api/abc/service"
Services = dict[str, dict[str, Any]]


def _merged(*files: Path) -> dict[str, Any]:
    """What Compose makes of the files, with no variable set."""
    chosen = [option for file in files for option in ("-f", str(file))]
    done = subprocess.run(
        [*compose(), *chosen, "config"], cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    merged: dict[str, Any] = yaml.safe_load(done.stdout)
    return merged


@pytest.fixture(scope="module")
def services() -> Services:
    """The services of `docker compose up`, as they are written."""
    found: Services = yaml.safe_load(FILES[0].read_text(encoding="utf-8"))["services"]
    return found


def _published(service: dict[str, Any]) -> list[str]:
    return [str(port) for port in service.get("ports", [])]


def _bound(services: Services) -> list[str]:
    """What is mounted from the host."""
    sources = [str(volume).split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    return sorted({source for source in sources if source.startswith(".")})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_file_follows_the_specification(file: Path) -> None:
    """Expects no complaint from Compose's own schema, as check-jsonschema has it."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [checker, "--builtin-schema", "vendor.compose-spec", file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_reads_it_with_either_emulator() -> None:
    """Expects another image for the emulator, and no other difference."""
    with_localstack, with_ministack = _merged(FILES[0])["services"], _merged(*FILES)["services"]
    image, _, digest = with_localstack["emulator"]["image"].partition("@")
    assert image == "localstack/localstack:4.14.0"
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest)
    assert with_ministack["emulator"]["image"].startswith("ministackorg/ministack:")
    assert with_localstack["emulator"]["ports"] == with_ministack["emulator"]["ports"]
    assert {name for name, one in with_localstack.items() if one["image"] != with_ministack[name]["image"]} == {
        "emulator"
    }


def test_every_image_is_pinned() -> None:
    """Expects each version to have at least two numbers, so that the next pull brings the same."""
    images = {service["image"] for files in (FILES[:1], FILES) for service in _merged(*files)["services"].values()}
    assert len(images) >= 6
    assert all(re.search(r":v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$", image) for image in images), images


def test_everything_listens_on_this_machine_only(services: Services) -> None:
    """Expects the documented ports, each bound to loopback."""
    published = [port for service in services.values() for port in _published(service)]
    assert all(port.startswith("127.0.0.1:") for port in published)
    ports = {name: [port.split(":")[1] for port in _published(one)] for name, one in services.items()}
    wanted = {"proxy": ["8000"], "prometheus": ["9090"], "grafana": ["3000"], "emulator": ["4566"], "gateway": ["9100"]}
    assert {name: found for name, found in ports.items() if found} == wanted


def test_every_mounted_file_exists(services: Services) -> None:
    """Expects the project's and Grafana's directories to exist, and Grafana's files in them."""
    bound = _bound(services)
    assert bound == [".", "./infra/grafana/dashboards", "./infra/grafana/provisioning"]
    assert all((ROOT / source).is_dir() for source in bound)
    (provider,) = (ROOT / "infra/grafana/provisioning/dashboards").glob("*.yml")
    shown = yaml.safe_load(provider.read_text(encoding="utf-8"))["providers"][0]["options"]["path"]
    assert f"./infra/grafana/dashboards:{shown}:ro" in services["grafana"]["volumes"]
    assert all(json.loads(file.read_text(encoding="utf-8")) for file in (ROOT / "infra/grafana/dashboards").iterdir())


def test_a_service_starts_when_those_before_it_are_ready(services: Services) -> None:
    """Expects a service to wait until those with a health check are healthy, and until one-off jobs have ended."""
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            healthy = "healthcheck" in services[other]
            wanted = "service_healthy" if healthy else "service_completed_successfully"
            assert how == {"condition": wanted}, f"{name} on {other}"
    assert {name for name, one in services.items() if "healthcheck" not in one} == {"tools", "deploy"}
    assert set(services["deploy"]["depends_on"]) == {"tools", "emulator", "gateway"}
    assert "deploy" in services["proxy"]["depends_on"]
    assert "deploy" in services["prometheus"]["depends_on"]


def test_every_command_of_ours_exists(services: Services) -> None:
    """Expects modules that exist, run by the Python that `tools` sets up, and a target of the Makefile."""
    modules = [found for one in services.values() for found in re.findall(r"python -m (\S+)", str(one.get("command")))]
    assert sorted(modules) == ["infra.compose", "infra.local.sandbox_gateway"]
    assert all(importlib.util.find_spec(module) for module in modules)
    assert services["tools"]["command"] == "make -C /project setup VENV=/venv"
    for name in ("gateway", "deploy"):
        assert services[name]["command"].startswith("/venv/bin/python")
        assert services[name]["image"] == services["tools"]["image"]


def test_services_call_each_other_by_names_that_exist(services: Services) -> None:
    """Expects the addresses in settings and provisioned files to be services, with ports that they listen on."""
    listens = {name: _published(one)[0].split(":")[2] for name, one in services.items() if _published(one)}
    targets = yaml.safe_load((ROOT / "infra/compose/targets.yml").read_text(encoding="utf-8"))[0]["targets"]
    source = yaml.safe_load((ROOT / "infra/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    environment = services["deploy"]["environment"]
    called = [*targets, source["datasources"][0]["url"], environment["AWS_ENDPOINT_URL"], environment["GATEWAY_URL"]]
    found = [re.search(r"(\w+):(\d+)\}?$", address) for address in called]
    assert [(one[1], one[2]) for one in found if one] == [
        (name, listens[name]) for name in ("proxy", "prometheus", "emulator", "gateway")
    ]


def test_no_secret_is_written_down(services: Services) -> None:
    """Expects tokens and passwords to come from the environment, except for the sandbox's, which opens nothing."""
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("TOKEN|PASSWORD|SECRET", name):
                assert value in (None, "${GATEWAY_TOKEN:-sandbox}"), name


def test_prometheus_can_read_what_the_deploy_container_writes(tmp_path: Path) -> None:
    """Expects promtool to accept the configuration, with all files that it names."""
    write_settings(tmp_path, API, "the-token", "http://gateway:9100")
    command = [program("promtool"), "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "token").read_text(encoding="utf-8") == "the-token"
    assert (tmp_path / "targets.yml").exists()


def test_the_demo_finds_the_service_and_refuses_a_real_gateway(services: Services, tmp_path: Path) -> None:
    """Expects the proxy's address with the sandbox, and a refusal with any other gateway."""
    environment = services["deploy"]["environment"]
    sandbox = re.sub(r"^\$\{GATEWAY_URL:-(.+)\}$", r"\1", environment["GATEWAY_URL"])
    assert environment["DATA_DIR"] == "/settings"
    found = {"DATA_DIR": str(tmp_path), "ADMIN_PASSWORD": "secret"}
    write_settings(tmp_path, API, "the-token", sandbox)
    assert target(found) == Target("http://proxy:8000", "admin", "secret")
    write_settings(tmp_path, API, "the-token", "https://gateway.example.com")
    with pytest.raises(CallFailed, match=r"gateway\.example\.com"):
        target(found)


def test_the_deploy_container_never_deploys_to_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Expects a refusal without an emulator's address, whatever credentials are set, and nothing to be written."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(sys, "argv", ["infra.compose", str(tmp_path)])
    assert main() == 1
    assert "set AWS_ENDPOINT_URL: this command deploys only into emulators" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
