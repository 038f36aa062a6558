"""What a stage's bucket remembers of its releases, and what a rollback makes of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from infra import rollback as command
from infra.deploy import DeployError
from infra.fingerprint import OUTPUT
from infra.package import LAMBDA
from infra.releases import KEPT, Release, Releases
from infra.rollout import with_version
from infra.template import merge_template


class Bucket:
    """The bucket of a stage, in memory."""

    bucket = "bucket"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.superseded: set[str] = set()

    def write(self, key: str, content: bytes) -> None:
        self.objects[key] = content

    def put(self, content: bytes, suffix: str) -> str:
        self.objects[f"made{suffix}"] = content
        return f"made{suffix}"

    def read(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def has(self, key: str) -> bool:
        return key in self.objects

    def keep(self, key: str) -> None:
        self.superseded.discard(key)

    def supersede_all_but(self, *keys: str) -> None:
        self.superseded |= set(self.objects) - set(keys)


def release(name: str, **parameters: str) -> Release:
    return Release("2026-03-02 09:00:00", "0.1.0", name, f"{name}.zip", f"{name}.json", parameters)


def bucket_of(*names: str) -> Bucket:
    """A bucket after these releases, the last of which runs."""
    bucket = Bucket()
    for name, before in zip(names, ("", *names), strict=False):
        template = {"Resources": {"APIHandler": {"Properties": {"DeploymentPreference": {}, "CodeUri": name}}}}
        bucket.objects |= {f"{name}.zip": b"", f"{name}.json": json.dumps(template).encode()}
        Releases(bucket).note(release(name, LogLevel=name), instead_of=before)  # type: ignore[arg-type]
    return bucket


def known(bucket: Bucket) -> list[str]:
    return [one.fingerprint for one in Releases(bucket).all()]  # type: ignore[arg-type]


def test_the_first_release_has_none_before_it() -> None:
    """Nor has one that nobody noted."""
    releases = Releases(bucket_of("a"))  # type: ignore[arg-type]
    assert releases.before("a") is None
    assert releases.before("unknown") is None
    assert Releases(Bucket()).all() == []  # type: ignore[arg-type]


def test_each_has_the_one_before_it() -> None:
    """The newest first, and no more than are kept."""
    names = [f"r{number}" for number in range(KEPT + 3)]
    bucket = bucket_of(*names)
    assert known(bucket) == names[::-1][:KEPT]
    before = Releases(bucket).before("r5")  # type: ignore[arg-type]
    assert before == release("r4", LogLevel="r4")


def test_a_release_that_was_rolled_back_is_not_rolled_back_to() -> None:
    """After it the next one stands on what ran instead."""
    bucket = bucket_of("good", "bad")
    Releases(bucket).note(release("mended"), instead_of="good")  # type: ignore[arg-type]
    assert known(bucket) == ["mended", "good"]


def test_a_deploy_without_a_change_is_no_release() -> None:
    """Otherwise a rollback would lead to the same again."""
    bucket = bucket_of("a", "b")
    Releases(bucket).note(release("b"), instead_of="b")  # type: ignore[arg-type]
    assert known(bucket) == ["b", "a"]


def test_the_files_of_the_last_two_stay() -> None:
    """Those of older ones go after a time."""
    bucket = bucket_of("a", "b", "c")
    assert bucket.superseded == {"a.zip", "a.json"}


# -- make rollback


class Stack:
    """A stack that runs a release."""

    def __init__(self, running: str) -> None:
        self.running = running
        self.deployed: list[tuple[str, dict[str, str]]] = []

    def prepare(self) -> None: ...

    def outputs(self) -> dict[str, str]:
        return {OUTPUT: self.running}

    def deploy(self, url: str, parameters: dict[str, str]) -> bool:
        self.deployed.append((url, parameters))
        return True


class Account:
    """An account of AWS."""

    emulated = False

    def client(self, service: str) -> Any: ...

    def object_url(self, bucket: str, key: str) -> str:
        return f"{bucket}/{key}"

    def api_url(self, outputs: dict[str, str]) -> str:
        return "https://api.example"


@pytest.fixture
def roll_back(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stack]:
    """Rolls the stage back that runs a release of a bucket; what the stack was asked for."""

    def run(bucket: Bucket, running: str, yes: bool = True) -> Stack:
        stack = Stack(running)
        monkeypatch.setattr(command, "Stack", lambda *given, **more: stack)
        monkeypatch.setattr(command, "Artifacts", lambda *given: bucket)
        command.rollback("prod", Account(), lambda question: yes)  # type: ignore[arg-type]
        return stack

    return run


def test_a_rollback_deploys_what_ran_before_as_it_was(roll_back: Callable[..., Stack]) -> None:
    """With its parameters, all at once: an alarm that rings already would stop CodeDeploy."""
    bucket = bucket_of("a", "b", "c")
    stack = roll_back(bucket, "b")
    assert stack.deployed == [("bucket/made.json", {"LogLevel": "a"})]
    assert json.loads(bucket.objects["made.json"]) == {"Resources": {"APIHandler": {"Properties": {"CodeUri": "a"}}}}
    assert "a.zip" not in bucket.superseded, "the zip of what runs must not go"


def test_a_rollback_without_a_release_to_go_back_to_says_what_to_do(roll_back: Callable[..., Stack]) -> None:
    """If none is known, or its files are gone."""
    with pytest.raises(DeployError, match=r"no release before the one that runs is known of .*-prod\. Check it out"):
        roll_back(bucket_of("a"), "a")
    bucket = bucket_of("a", "b")
    del bucket.objects["a.zip"]
    with pytest.raises(DeployError, match=r"is not in bucket any more\. Check it out and deploy it"):
        roll_back(bucket, "b")


def test_a_rollback_asks_first(roll_back: Callable[..., Stack]) -> None:
    """Expects nothing to change without a yes."""
    with pytest.raises(DeployError, match="not confirmed, nothing was changed"):
        roll_back(bucket_of("a", "b"), "b", yes=False)


# -- how the API goes over


def template_with(**values: str) -> dict[str, Any]:
    """The API's function as it is deployed with these parameters."""
    template = copy.deepcopy(merge_template(LAMBDA))
    template["Resources"]["APIHandler"]["Properties"]["CodeUri"] = "s3://bucket/a.zip"
    found: dict[str, Any] = with_version(template, {"ApiRollout": "Canary10Percent5Minutes", **values})
    return found["Resources"]["APIHandler"]["Properties"]


def test_a_changed_parameter_makes_a_new_version_of_the_api() -> None:
    """By itself SAM looks at the code only, and the alias would keep the old settings; a sender's concern nobody."""
    version = template_with()["AutoPublishCodeSha256"]
    assert template_with(LogLevel="DEBUG")["AutoPublishCodeSha256"] != version
    assert template_with(ApiMemory="2048")["AutoPublishCodeSha256"] != version
    assert template_with(SenderMemory="2048", ApiRate="7")["AutoPublishCodeSha256"] == version
    assert template_with(ApiRollout="Canary10Percent30Minutes")["AutoPublishCodeSha256"] == version


def test_the_api_goes_over_bit_by_bit_unless_all_at_once_is_asked_for() -> None:
    """By CodeDeploy, which the API's own alarms stop."""
    preference = template_with()["DeploymentPreference"]
    assert preference == {
        "Type": {"Ref": "ApiRollout"},
        "Alarms": [{"Ref": "ApiServerErrorsAlarm"}, {"Ref": "ApiErrorsAlarm"}],
        "Role": {"Fn::GetAtt": ["RolloutRole", "Arn"]},
    }
    assert "DeploymentPreference" not in template_with(ApiRollout="AllAtOnce")
