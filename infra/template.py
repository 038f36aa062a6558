"""Builds the template that `chalice package` merges into its own, from the parts in this directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import yaml

from chalicelib import __version__
from infra.local.gateway_responses import CONTENT_TYPE, GATEWAY_RESPONSES, GatewayResponse
from infra.monitoring import monitoring
from infra.provision import TEMPLATE as RESOURCES
from infra.saved_queries import saved_queries

OVERLAY = Path(__file__).with_name("overlay.yaml")
OPTIONS = Path(__file__).with_name("options.yaml")
_WITHOUT_KEY = {"SSEEnabled": True}
_WITH_KEY = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "KmsKeyArn"}}
NOTHING = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True, slots=True)
class Target:
    """What functions run on: a Python such as "3.12", and a processor in Lambda's terms."""

    python: str
    architecture: str

    @property
    def runtime(self) -> str:
        return f"python{self.python}"


def merge_template(target: Target) -> dict[str, Any]:
    """The template that is laid over Chalice's. Raises ValueError if two of its sources define the same resource."""
    template: dict[str, Any] = yaml.safe_load(OVERLAY.read_text(encoding="utf-8"))
    overlay = template["Resources"]
    for resource in overlay.values():
        if resource.get("Type") == "AWS::Serverless::Function":
            resource["Properties"] |= {"Runtime": target.runtime, "Architectures": [target.architecture]}
    overlay["RestAPI"]["Properties"]["GatewayResponses"] = _gateway_responses()
    template["Outputs"]["Version"] = {"Description": "The version of the service", "Value": __version__}
    for source in (yaml.safe_load(RESOURCES.read_text(encoding="utf-8")), monitoring(), saved_queries()):
        for section, entries in source.items():
            present = template.setdefault(section, {})
            if twice := sorted(set(present) & set(entries)):
                raise ValueError(f"defined in {OVERLAY.name} and once more: {', '.join(twice)}")
            present.update(entries)
    options = yaml.safe_load(OPTIONS.read_text(encoding="utf-8"))
    if twice := sorted(set(template["Parameters"]) & set(options["Parameters"])):
        raise ValueError(f"defined in {OPTIONS.name} and once more: {', '.join(twice)}")
    template = _laid_over(options, template)
    for resource in template["Resources"].values():
        resource.get("Properties", {}).update(_of_each(resource.get("Type", "")))
    return template


def _laid_over(upper: Any, lower: Any) -> Any:
    """Key by key, as Chalice merges."""
    if not isinstance(upper, dict) or not isinstance(lower, dict):
        return upper
    return {**lower, **{key: _laid_over(value, lower.get(key)) for key, value in upper.items()}}


def _of_each(kind: str) -> dict[str, Any]:
    """The properties that options add to every table or queue."""
    if kind == "AWS::DynamoDB::Table":
        encrypted = {"Fn::If": ["HasKmsKey", _WITH_KEY, _WITHOUT_KEY]}
        return {"DeletionProtectionEnabled": {"Ref": "DeletionProtection"}, "SSESpecification": encrypted}
    if kind == "AWS::SQS::Queue":
        return {
            "KmsMasterKeyId": {"Fn::If": ["HasKmsKey", {"Ref": "KmsKeyArn"}, NOTHING]},
            "SqsManagedSseEnabled": {"Fn::If": ["HasKmsKey", NOTHING, True]},
        }
    return {}


def _gateway_responses() -> dict[str, Any]:
    """API Gateway's own errors, in the service's error format."""
    apigateway = botocore.session.get_session().get_service_model("apigateway")
    known = apigateway.shape_for("GatewayResponseType").enum
    return {name: _response(answer) for name, answer in GATEWAY_RESPONSES.items() if name in known}


def _response(answer: GatewayResponse) -> dict[str, Any]:
    headers = {"Content-Type": CONTENT_TYPE, **dict(answer.headers)}
    return {
        "StatusCode": answer.status,
        # API Gateway takes a constant in single quotes.
        "ResponseParameters": {"Headers": {name: f"'{value}'" for name, value in headers.items()}},
        "ResponseTemplates": {"application/json": answer.body.decode()},
    }
