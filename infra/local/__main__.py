"""`make run`: the whole service on this machine, with nothing but Python."""

from __future__ import annotations

import logging
import os
import signal
import socket

from chalicelib.config import Settings
from chalicelib.gateways import check_kind
from infra.local.children import ChildError
from infra.local.data_directory import DataDirectory, InUseError
from infra.local.emulator import EmulatorError
from infra.local.environment import LocalSettings
from infra.local.first_user import check_first_user
from infra.local.logs import open_log
from infra.local.loopback import listen, port_of
from infra.local.supervisor import Run, StartError

logger = logging.getLogger("infra.local")


def main() -> int:
    """Run until a signal comes.

    Returns 1, with the reason in one printed line, if it cannot start, continue or save.
    """
    terminal, errors = (os.fdopen(os.dup(number), "w", buffering=1) for number in (1, 2))
    try:
        local = _settings()
        directory = _claimed(local)
        listener = _listening(local)
        run = Run(local, directory, terminal)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: run.ask_to_stop())
        _log_to_file(directory)
        saved = run.execute(listener, f"http://127.0.0.1:{port_of(listener)}")
    except (StartError, InUseError, EmulatorError, ChildError) as error:
        errors.write(f"make run: {error}\n")
        return 1
    except Exception as error:
        logger.exception("the run failed")
        errors.write(f"make run: {type(error).__name__}: {error}; more in {directory.path / 'service.log'}\n")
        return 1
    return 0 if saved else 1


def _settings() -> LocalSettings:
    try:
        check_kind(Settings.from_environment(os.environ))
        local = LocalSettings.from_environment(os.environ)
        check_first_user(local.admin_username, local.admin_password)
    except ValueError as error:
        raise StartError(str(error)) from error
    return local


def _claimed(local: LocalSettings) -> DataDirectory:
    try:
        directory = DataDirectory(local.data_dir)
        directory.make_private()
        directory.claim()
    except OSError as error:
        raise StartError(f"DATA_DIR {local.data_dir} cannot be used: {error.strerror}") from error
    return directory


def _listening(local: LocalSettings) -> socket.socket:
    try:
        return listen(local.port)
    except OSError as error:
        raise StartError(f"PORT {local.port} cannot be used: {error.strerror}") from error


def _log_to_file(directory: DataDirectory) -> None:
    """Redirect what handlers and libraries print to the service's log, because the terminal is for a person."""
    log = open_log(directory.log("service"))
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)


if __name__ == "__main__":
    code = main()
    # An unfinished batch must not keep the process alive: its threads end with it.
    os._exit(code)
