"""`python -m infra.localstack.inside.start localstack|localemu`: the emulator's own runtime, with two things changed.

Its functions are processes of this machine, and its DynamoDB is MiniStack: LocalStack would download Amazon's DynamoDB
Local, which needs Java and has its own licence; LocalEmu has moto's engine, which knows no PartiQL with parameters.
Runs in the emulator's own environment (.venv-localstack or .venv-localemu), which has none of this project's packages.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from typing import Any

from . import permissions, processes

# Each of these has taken the function's name into its own module.
_USERS = ("runtime_executor", "execution_environment", "version_manager")


def _run_functions_as_processes(package: str) -> None:
    chosen = processes.executor(package)
    lambda_ = f"{package}.services.lambda_"
    for name in (*(f"{lambda_}.invocation.{user}" for user in _USERS), f"{lambda_}.provider"):
        importlib.import_module(name).get_runtime_executor = lambda: chosen  # type: ignore[attr-defined]


def _put_ministack_behind_localstack() -> None:
    server = importlib.import_module("localstack.services.dynamodb.server").DynamodbServer
    server.start_dynamodb = lambda _: True
    server.stop_dynamodb = lambda _: None


def _put_ministack_behind_localemu(port: str) -> None:
    provider = importlib.import_module("localemu.services.dynamodb.provider").DynamoDBProvider
    proxy = importlib.import_module("localemu.aws.forwarder").AwsRequestProxy(f"http://127.0.0.1:{port}")

    def forward_request(self: Any, context: Any, service_request: Any = None) -> Any:
        self.check_provisioned_throughput(context.operation.name)
        return proxy(context, service_request)

    provider.forward_request = forward_request


def _end_with_standard_input() -> None:
    """End when the process that started this one ends."""
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serve until a signal comes, or until standard input ends."""
    package = sys.argv[1]
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    _run_functions_as_processes(package)
    if package == "localstack":
        _put_ministack_behind_localstack()
    else:
        _put_ministack_behind_localemu(os.environ["DYNAMODB_LOCAL_PORT"])
        if os.environ.get("IAM_ENFORCEMENT"):
            permissions.install()
    importlib.import_module(f"{package}.runtime.main").main()


if __name__ == "__main__":
    main()
