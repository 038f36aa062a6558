"""The template's parameters as a person gives them: by variables of the environment, or in a file of the stage."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from chalicelib.config import Settings
from infra.package import LAMBDA
from infra.template import merge_template

DIRECTORY = Path("stages")  # of the files, which git ignores: STAGE.env
DEFAULT = "default"  # as a value: the template's default
_MOST_TOLD = 3000  # characters about gateways: what all variables of a function have together is 4 KB
_LINE = re.compile(r"(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*(.*)")
# What only works together, with what to do about one that is missing.
_TOGETHER = (("SubnetIds", "SecurityGroupIds"), ("DomainName", "CertificateArn"))


class ParameterError(ValueError):
    """A parameter has an invalid value; the text names the variable and says what would work."""


def definitions() -> dict[str, dict[str, Any]]:
    """Each parameter as the template defines it, by name."""
    return dict(_definitions())


@cache
def _definitions() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = merge_template(LAMBDA)["Parameters"]
    return found


def variable(parameter: str) -> str:
    """The variable of the environment that sets a parameter of the template: GatewayUrl is GATEWAY_URL."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parameter).upper()


@dataclass(frozen=True, slots=True)
class Parameters:
    """The given values by the parameters' names. Parameters that are not given stay as they are in the stack."""

    given: Mapping[str, str]

    @classmethod
    def read(cls, environ: Mapping[str, str], stage: str, directory: Path = DIRECTORY) -> Parameters:
        """Read `directory`/STAGE.env and the environment, which overrides it.

        Raises ParameterError if a value is wrong.

        On an emulator (AWS_ENDPOINT_URL) a gateway needs no TLS.
        """
        source = {**_file(directory / f"{stage}.env"), **{name: text for name, text in environ.items() if text.strip()}}
        given = {}
        for name, definition in definitions().items():
            text = source.get(variable(name), "").strip()
            if not text:
                continue
            if name == "Gateways":
                text = _compact(text)
            value = str(definition.get("Default", "")) if text.lower() == DEFAULT else text
            given[name] = value.upper() if name == "LogLevel" else value
            if not (name == "GatewayUrl" and environ.get("AWS_ENDPOINT_URL", "").strip()):
                _check(name, definition, given[name])
        if given.get("GatewayUrl") and "Gateway" not in given:
            given["Gateway"] = "http"  # an address alone asks for it
        return cls(given)

    def effective(self, known: Mapping[str, str]) -> dict[str, str]:
        """Every value that the stack would have, given its `known` ones.

        Raises ParameterError if they cannot work together.
        """
        values = {
            name: self.given.get(name, known.get(name, str(one.get("Default", ""))))
            for name, one in definitions().items()
        }
        for names in _TOGETHER:
            present = [name for name in names if values[name]]
            if present and len(present) < len(names):
                missing = next(name for name in names if not values[name])
                raise ParameterError(f"{variable(missing)}: is required if {variable(present[0])} is set")
        if 0 < int(values["LedgerWarmWrites"]) < 4000:
            raise ParameterError("LEDGER_WARM_WRITES: at least 4000, which a new table takes anyway, or 0")
        if len(values["Gateways"]) + len(values["GatewayDeclaration"]) > _MOST_TOLD:
            raise ParameterError(f"GATEWAYS: with GATEWAY_DECLARATION at most {_MOST_TOLD} characters")
        _check_settings(values)
        return values


def _compact(text: str) -> str:
    """JSON, from the text or from the file that it names, without spaces."""
    if text.lower() == DEFAULT:
        return text
    try:
        content = text if text.startswith("{") else Path(text).read_text(encoding="utf-8")
        compact: str = json.dumps(json.loads(content), separators=(",", ":"))
    except (OSError, ValueError) as error:
        raise ParameterError(f"GATEWAYS: neither JSON nor a file with JSON: {text[:80]!r}") from error
    return compact


def _check_settings(values: Mapping[str, str]) -> None:
    """What the functions themselves would refuse when they start."""
    known = {variable(name): value for name, value in values.items()}
    try:
        Settings.from_environment(known)
    except ValueError as error:
        raise ParameterError(str(error)) from error


def _check(name: str, definition: Mapping[str, Any], value: str) -> None:
    """Raises ParameterError for a value that CloudFormation would refuse."""
    allowed = definition.get("AllowedValues")
    if allowed and value not in allowed:
        raise ParameterError(f"{variable(name)}: must be one of {', '.join(allowed)}: {value!r}")
    if definition["Type"] == "Number":
        _check_number(name, definition, value)
    if pattern := definition.get("AllowedPattern"):
        parts = value.split(",") if definition["Type"] == "CommaDelimitedList" else [value]
        if not all(re.fullmatch(pattern, part.strip()) for part in parts):
            what = definition.get("ConstraintDescription", f"must look like {pattern.removeprefix('|')}")
            raise ParameterError(f"{variable(name)}: {what}: {value!r}")


def _check_number(name: str, definition: Mapping[str, Any], value: str) -> None:
    least, most = definition["MinValue"], definition["MaxValue"]
    whole = isinstance(least, int)
    if not re.fullmatch(r"[0-9]{1,9}" if whole else r"[0-9]{1,9}(\.[0-9]{1,3})?", value):
        raise ParameterError(f"{variable(name)}: must be a {'whole ' if whole else ''}number: {value!r}")
    if not least <= float(value) <= most:
        raise ParameterError(f"{variable(name)}: must be from {least} to {most}: {value}")


def _file(path: Path) -> dict[str, str]:
    """The lines NAME=value of a file; empty if there is none. Raises ParameterError for an unknown name."""
    known = {variable(name) for name in definitions()}
    found: dict[str, str] = {}
    if not path.is_file():
        return found
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        read = _LINE.fullmatch(text)
        if read is None:
            raise ParameterError(f"{path}, line {number}: must be NAME=value: {text!r}")
        name, value = read[1], read[2].strip().strip("\"'")
        if name not in known:
            like = difflib.get_close_matches(name, known, 1)
            hint = f", do you mean {like[0]}?" if like else "; docs/deploy.md has the list"
            raise ParameterError(f"{path}, line {number}: {name} is no parameter{hint}")
        found[name] = value
    return found


def table() -> list[str]:
    """The rows of the table in docs/deploy.md: variable, default, what it may be, and what it is."""
    rows = []
    for name, one in definitions().items():
        default = str(one.get("Default", ""))
        may_be = ", ".join(f"`{value}`" for value in one.get("AllowedValues", ()))
        if "MinValue" in one:
            may_be = f"{one['MinValue']:,} to {one['MaxValue']:,}"
        about = re.sub(
            r"\w+",
            lambda found: f"`{variable(found[0])}`" if found[0] in definitions() else found[0],
            one["Description"],
        )
        rows.append(f"| `{variable(name)}` | {f'`{default}`' if default else ''} | {may_be} | {about} |")
    return rows
