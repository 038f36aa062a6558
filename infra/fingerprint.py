"""Finds out whether a deploy would change anything, because LocalStack makes a change set for every deploy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

OUTPUT = "Fingerprint"


def fingerprint(template: Mapping[str, Any], given: Mapping[str, str], known: Mapping[str, str]) -> str:
    """A hash of a template and the values of its parameters: `given`, else `known`, else the defaults.

    The zip counts by its name in the template, which is its own hash.
    """
    values = {
        name: given.get(name) or known.get(name) or str(parameter.get("Default", ""))
        for name, parameter in template.get("Parameters", {}).items()
    }
    text = json.dumps([template, values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def with_fingerprint(template: Mapping[str, Any], value: str) -> dict[str, Any]:
    """The template with the hash in its outputs, for the next deploy."""
    told = {"Description": "Of template and parameters, for the next deploy", "Value": value}
    return {**template, "Outputs": {**template.get("Outputs", {}), OUTPUT: told}}
