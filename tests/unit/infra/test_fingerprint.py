"""A deploy that would change nothing is known by its hash: of the template, and of the values of its parameters."""

from __future__ import annotations

from infra.fingerprint import OUTPUT, fingerprint, with_fingerprint

TEMPLATE = {
    "Parameters": {"Hour": {"Type": "Number", "Default": 9}, "Url": {"Type": "String"}},
    "Resources": {"Function": {"Properties": {"CodeUri": "s3://bucket/abc.zip"}}},
}


def test_the_same_deploy_has_the_same_hash() -> None:
    """Expects it whether a value is given again, kept from before or the default, in whatever order things stand."""
    first = fingerprint(TEMPLATE, {"Hour": "", "Url": "sandbox:"}, {})
    known = {"Url": "sandbox:", "Hour": "9"}
    backwards = {key: TEMPLATE[key] for key in reversed(TEMPLATE)}
    assert first == fingerprint(backwards, {"Url": "", "Hour": ""}, known)
    assert first == fingerprint(TEMPLATE, {"Hour": "9"}, known)


def test_every_change_has_another_hash() -> None:
    """Expects it of a parameter, of the code and of a default that counts."""
    known = {"Url": "sandbox:"}
    code = {**TEMPLATE, "Resources": {"Function": {"Properties": {"CodeUri": "s3://bucket/def.zip"}}}}
    default = {**TEMPLATE, "Parameters": {**TEMPLATE["Parameters"], "Hour": {"Type": "Number", "Default": 10}}}
    changed = {
        fingerprint(TEMPLATE, {}, known),
        fingerprint(TEMPLATE, {"Url": "https://gateway.example"}, known),
        fingerprint(TEMPLATE, {"Hour": "10"}, known),
        fingerprint(code, {}, known),
        fingerprint(default, {}, known),
    }
    assert len(changed) == 5


def test_the_stack_tells_it_to_the_next_deploy() -> None:
    """Expects one output more, and the template otherwise as it was."""
    told = with_fingerprint({**TEMPLATE, "Outputs": {"Other": {"Value": "x"}}}, "abc")
    assert told["Outputs"][OUTPUT]["Value"] == "abc"
    assert told["Outputs"]["Other"] == {"Value": "x"}
    assert {key: told[key] for key in TEMPLATE} == TEMPLATE
