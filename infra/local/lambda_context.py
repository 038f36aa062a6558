"""The context object that Lambda hands to a function, on the clock of whoever invokes it."""

from __future__ import annotations

from datetime import datetime, timedelta

from chalicelib.clock import SystemClock

ACCOUNT = "000000000000"


class LambdaContext:
    """What a handler may ask about its own invocation; the names are Lambda's."""

    function_version = "$LATEST"
    memory_limit_in_mb = 512
    identity = None
    client_context = None

    def __init__(self, function_name: str, request_id: str, timeout: float, clock: SystemClock, region: str) -> None:
        self.function_name = function_name
        self.aws_request_id = request_id
        self.invoked_function_arn = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{function_name}"
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = request_id
        self._clock = clock
        self._deadline = clock.now() + timedelta(seconds=timeout)

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end the invocation, 0 once that time has passed."""
        return max(0, round((self._deadline - self._clock.now()).total_seconds() * 1000))

    def timed_out(self, now: datetime) -> bool:
        """Whether Lambda would have ended the invocation before `now`."""
        return now > self._deadline
