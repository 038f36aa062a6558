"""The bucket that CloudFormation takes the zip and the template from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.account import Account

KEPT_DAYS = 90
_MISSING = {"404", "NoSuchBucket", "NoSuchKey", "NotFound"}
_SUPERSEDED = "superseded"
_PRIVATE = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
_ENCRYPTED = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
# Only marked objects expire: without the zip of the running release, a failed update could not be rolled back.
_LIFECYCLE = {
    "Rules": [
        {
            "ID": "superseded",
            "Status": "Enabled",
            "Filter": {"Tag": {"Key": _SUPERSEDED, "Value": "true"}},
            "Expiration": {"Days": KEPT_DAYS},
        },
        {
            "ID": "broken-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
    ]
}


class Artifacts:
    """A private, encrypted bucket of one stage. The same content is stored once."""

    def __init__(self, account: Account, stack: str) -> None:
        self._account = account
        self._s3 = account.client("s3")
        self.bucket = f"{stack}-{account.account_id}-{account.region}"

    def exists(self) -> bool:
        """Whether the bucket exists. Raises ClientError if it belongs to somebody else."""
        try:
            self._s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._account.account_id)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return False
            raise
        return True

    def ensure(self) -> None:
        """Make the bucket if it is missing, and set all its properties."""
        if not self.exists():
            region = self._account.region
            where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            self._s3.create_bucket(Bucket=self.bucket, **where)
        self._s3.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration=_PRIVATE)
        self._s3.put_bucket_encryption(Bucket=self.bucket, ServerSideEncryptionConfiguration=_ENCRYPTED)
        self._s3.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration=_LIFECYCLE)
        if not self._account.emulated:  # which is called without encryption
            self._s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(self._policy()))

    def put(self, content: bytes, suffix: str) -> str:
        """Store content under a name made from it, such as `<SHA-256>.zip`. Returns the name."""
        key = f"{hashlib.sha256(content).hexdigest()}{suffix}"
        # Also if it exists already, because it may have been marked as superseded.
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=content)
        return key

    def put_file(self, path: Path) -> str:
        """Store a file as `put` does. Returns the name."""
        return self.put(path.read_bytes(), path.suffix)

    def write(self, key: str, content: bytes) -> None:
        """Store content under this name, replacing what was there."""
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=content)

    def read(self, key: str) -> bytes | None:
        """What is stored under this name, None if nothing is."""
        try:
            content: bytes = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return content

    def has(self, key: str) -> bool:
        """Whether something is stored under this name."""
        return key in self._keys()

    def keep(self, key: str) -> None:
        """Keep an object that was going to expire."""
        if self._s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]:
            self._copy_onto_itself(key, "")

    def supersede_all_but(self, *keys: str) -> None:
        """Let everything else expire in KEPT_DAYS days."""
        for key in self._keys():
            if key not in keys and not self._s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]:
                self._copy_onto_itself(key, f"{_SUPERSEDED}=true")

    def delete(self) -> None:
        """Remove the bucket with all that is in it."""
        for key in self._keys():
            self._s3.delete_object(Bucket=self.bucket, Key=key)
        self._s3.delete_bucket(Bucket=self.bucket)

    def _copy_onto_itself(self, key: str, tagging: str) -> None:
        """Copy an object onto itself with these tags, because days count from an object's creation."""
        self._s3.copy_object(
            Bucket=self.bucket,
            Key=key,
            CopySource={"Bucket": self.bucket, "Key": key},
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",
            Tagging=tagging,
        )

    def _keys(self) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def _policy(self) -> dict[str, Any]:
        """The policy that only allows encrypted connections."""
        arn = f"arn:{self._account.partition}:s3:::{self.bucket}"
        refused = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return {"Version": "2012-10-17", "Statement": [refused]}
