"""Lambda functions as processes of this machine: a RuntimeExecutor for LocalStack and LocalEmu without Docker.

Each execution environment is one process of FUNCTION_PYTHON, a Python with awslambdaric, which is what Lambda's own
images run. LocalStack's init is not needed: `invoke` may answer the result itself.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import tempfile
import threading
import time
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as NoResult
from pathlib import Path
from typing import Any

from .runtime_api import RuntimeApi

_INIT_BOUND = 90.0  # seconds until a function must have imported its code
_LOOK = 0.05  # seconds between two looks at a process
_unpacking = threading.Lock()


class Environment:
    """One process of a function, started again if it has ended. What it writes goes to a file of its own."""

    def __init__(self, name: str, code: str, variables: dict[str, str]) -> None:
        self._api = RuntimeApi(self._answered)
        descriptor, self._log = tempfile.mkstemp(prefix=f"function-{name}-", suffix=".log")
        self._output = os.fdopen(descriptor, "ab")
        self._code = code
        kept = {one: os.environ[one] for one in ("PATH", "LANG") if one in os.environ}
        self._variables = kept | variables | {"AWS_LAMBDA_RUNTIME_API": self._api.address, "LAMBDA_TASK_ROOT": code}
        self._process: subprocess.Popen[bytes] | None = None
        self._current = ""
        self._result: Future[tuple[bytes, bool]] | None = None

    def start(self) -> bytes | None:
        """Start the process. Returns None when it waits for events, or the error if it does not start."""
        self._api.expect_process()
        self._process = subprocess.Popen(
            [os.environ["FUNCTION_PYTHON"], "-m", "awslambdaric", self._variables["_HANDLER"]],
            cwd=self._code,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )
        deadline = time.monotonic() + _INIT_BOUND
        while not self._api.ready.wait(_LOOK):
            if self._process.poll() is not None or time.monotonic() > deadline:
                break
        if self._api.ready.is_set() and self._api.init_error is None:
            return None
        self.kill()
        return self._api.init_error or _error("Runtime.ExitError", "the function did not start")

    def run(self, event: dict[str, Any], timeout: float) -> tuple[bytes, bool]:
        """Run an event.

        Returns the answer, and whether it is an error. The process is killed after `timeout` seconds.
        """
        if self._process is None or self._process.poll() is not None:
            error = self.start()
            if error is not None:
                return error, True
        assert self._process is not None  # noqa: S101 - `start` has made it
        self._result, self._current = Future(), event["invoke-id"]
        self._api.put({**event, "deadline": int((time.time() + timeout) * 1000)})
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                return self._result.result(timeout=0.2)
            except NoResult:
                if self._process.poll() is not None:
                    told = f"RequestId: {self._current} Error: Runtime exited with status {self._process.returncode}"
                    return _error("Runtime.ExitError", told), True
        self.kill()
        return _error("Sandbox.Timedout", f"RequestId: {self._current} Error: timed out after {timeout:.2f} s"), True

    def finish(self, bound: float) -> None:
        """End it after its current event, as Lambda does when a function's code is replaced."""
        if self._result:
            wait([self._result], timeout=bound)
        self.kill()
        self._api.close()
        self._output.close()
        os.unlink(self._log)

    def kill(self) -> None:
        """End the process at once."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def written(self, after: int = 0) -> str:
        """What the process has written after so many bytes."""
        try:
            with open(self._log, errors="replace") as file:
                file.seek(after)
                return file.read()
        except OSError:
            return ""

    def size(self) -> int:
        """How many bytes the process has written."""
        return os.path.getsize(self._log)

    def _answered(self, request_id: str, body: bytes, is_error: bool) -> None:
        if self._result and request_id == self._current and not self._result.done():
            self._result.set_result((body, is_error))


def _error(kind: str, text: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": text}).encode()


def _unpack_once(code: Any) -> None:
    """Have a function's zip unpacked where the emulator looks for it: one copy for all functions with the same zip."""
    place = code.get_unzipped_code_location()
    whole = Path(tempfile.gettempdir(), "code", hashlib.sha256(code.code_sha256.encode()).hexdigest())
    with _unpacking:
        if place.exists():
            return
        if not whole.exists():
            code.prepare_for_execution()
            whole.parent.mkdir(exist_ok=True)
            place.rename(whole)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(whole)


def executor(package: str) -> Any:
    """The RuntimeExecutor for "localstack" or "localemu"."""
    invocation = f"{package}.services.lambda_.invocation"
    base: Any = importlib.import_module(f"{invocation}.runtime_executor").RuntimeExecutor
    result_of: Any = importlib.import_module(f"{invocation}.lambda_models").InvocationResult
    startup_failed: Any = importlib.import_module(f"{invocation}.executor_endpoint").StatusErrorException
    config: Any = importlib.import_module(f"{package}.config")

    class ProcessExecutor(base):  # type: ignore[misc]
        def start(self, env_vars: dict[str, Any]) -> None:
            function = self.function_version.config
            variables = {name: str(value) for name, value in env_vars.items()}
            variables |= {"AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}", "PYTHONDONTWRITEBYTECODE": "1"}
            code = str(function.code.get_unzipped_code_location())
            self.environment = Environment(self.function_version.id.function_name, code, variables)
            error = self.environment.start()
            if error is not None:
                raise startup_failed("Environment startup failed", payload=error)

        def stop(self) -> None:
            bound = self.function_version.config.timeout
            threading.Thread(target=self.environment.finish, args=(bound,), daemon=True).start()

        def invoke(self, payload: dict[str, Any], function_timeout: float | None = None) -> Any:
            function = self.function_version.config
            before, started = self.environment.size(), time.monotonic()
            body, is_error = self.environment.run(payload, function_timeout or function.timeout)
            taken = (time.monotonic() - started) * 1000
            request = f"RequestId: {payload['invoke-id']}"
            told = (
                f"START {request} Version: $LATEST\n{self.environment.written(before)}END {request}\n"
                f"REPORT {request}\tDuration: {taken:.2f} ms\tMemory Size: {function.memory_size} MB\n"
            )
            return result_of(payload["invoke-id"], body, is_error, told)

        def get_logs(self) -> str:
            return self.environment.written()

        # What Docker would need.

        def get_address(self) -> str:
            return "127.0.0.1"

        def get_endpoint_from_executor(self) -> str:
            return "127.0.0.1"

        def get_runtime_endpoint(self) -> str:
            return f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}/unused/{self.id}"

        @classmethod
        def prepare_version(cls, function_version: Any) -> None:
            _unpack_once(function_version.config.code)

        @classmethod
        def cleanup_version(cls, function_version: Any) -> None:
            """Nothing to clean up."""

    return ProcessExecutor
