"""The DynamoDB behind LocalStack and LocalEmu: MiniStack's, in memory, on 127.0.0.1.

`python -m infra.localstack.tables PORT` serves until a signal comes or its standard input ends.
The emulator in front of it checks who may call.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

import uvloop

from infra.local import ministack_patches
from infra.local.asgi_server import create_server
from infra.local.loopback import listen


def _end_with_standard_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Serve."""
    # MiniStack reads its environment when it is imported.
    os.environ |= {"SERVICES": "dynamodb", "PERSIST_STATE": "0", "LOG_LEVEL": "WARNING", "IOT_MTLS_ENABLED": "0"}
    os.environ |= {"SFTP_ENABLED": "0", "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    import ministack.app

    ministack_patches.install(queues=False)
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    server = create_server(ministack.app.app, lifespan=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=[listen(int(sys.argv[1]))]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
