"""The policies of infra/deployer.yaml for one stage, and which permission each call of a deploy needs."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "infra" / "deployer.yaml"
ACCOUNT, REGION = "000000000000", "us-east-1"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/gitlab.com"
Permission = tuple[str, str]  # an action, and the ARN of what it is done to

# S3 and API Gateway name permissions otherwise than calls; all other services have one for each call.
_ACTIONS = {
    "HeadBucket": ["ListBucket"],
    "ListObjectsV2": ["ListBucket"],
    "PutPublicAccessBlock": ["PutBucketPublicAccessBlock"],
    "PutBucketEncryption": ["PutEncryptionConfiguration"],
    "PutBucketLifecycleConfiguration": ["PutLifecycleConfiguration"],
    "CopyObject": ["GetObject", "PutObject", "PutObjectTagging"],
    "GetAccount": ["GET"],
    "UpdateAccount": ["PATCH"],
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What one statement allows."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def allows(self, permission: Permission) -> bool:
        action, resource = permission
        return action in self.actions and any(fnmatch.fnmatchcase(resource, one) for one in self.resources)


def template() -> dict[str, Any]:
    """The template as it is."""
    found: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    return found


def statements(role: str, stage: str) -> list[Statement]:
    """The statements of a role's policy for a stage that has no key of its own."""
    ((policy,),) = (template()["Resources"][role]["Properties"]["Policies"],)
    return [
        Statement(one["Sid"], tuple(_list(one["Action"])), tuple(_arn(arn, stage) for arn in _list(one["Resource"])))
        for one in policy["PolicyDocument"]["Statement"]
        if "Fn::If" not in one
    ]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _arn(value: Any, stage: str) -> str:
    if isinstance(value, str):
        return value
    if "Fn::GetAtt" in value:
        return f"arn:aws:iam::{ACCOUNT}:role/message-service-{value['Fn::GetAtt'][0].lower()}-{stage}"
    text: str = value["Fn::Sub"]
    known = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "Stage": stage}
    for name, one in known.items():
        text = text.replace(f"${{{name}}}", one)
    return text


def needed(service: str, operation: str, params: dict[str, Any]) -> Iterator[Permission]:
    """What a call needs. KeyError for a call whose permissions nobody has written down here."""
    if operation == "TransactWriteItems":
        for item in params["TransactItems"]:
            for kind, write in item.items():
                yield from needed(service, f"{kind}Item", write)
        return
    for action in _ACTIONS.get(operation, [operation]):
        for resource in _RESOURCES[service](params):
            yield f"{service}:{action}", resource


def _of_stack(params: dict[str, Any]) -> list[str]:
    name = params["StackName"]
    return [name if name.startswith("arn:") else f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/id"]


def _of_bucket(params: dict[str, Any]) -> list[str]:
    return [f"arn:aws:s3:::{params['Bucket']}" + (f"/{params['Key']}" if "Key" in params else "")]


def _of_tables(params: dict[str, Any]) -> list[str]:
    names = [params["TableName"]] if "TableName" in params else list(params.get("RequestItems", ()))
    return [f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}" for name in names] or ["*"]


def _of_secret(params: dict[str, Any]) -> list[str]:
    name = params["SecretId"]
    return [name if name.startswith("arn:") else f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-abcdef"]


_RESOURCES: dict[str, Any] = {
    "cloudformation": _of_stack,
    "s3": _of_bucket,
    "dynamodb": _of_tables,
    "secretsmanager": _of_secret,
    "lambda": lambda params: ["*"],
    "apigateway": lambda params: [f"arn:aws:apigateway:{REGION}::/account"],
    "iam": lambda params: [f"arn:aws:iam::{ACCOUNT}:role/{params['RoleName']}"],
    "sts": lambda params: [],  # whose credentials they are may be asked by everybody
}
