"""One local run: starts its processes in order, watches them, and ends them.

One process holds the dispatcher and the schedules and watches the others: those that answer HTTP, and the senders. The
emulator is a process of its own that outlives a killed service; fronts, senders and sandbox gateway do not.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TextIO

from infra.local import logs
from infra.local.children import FrontProcess, SandboxProcess, SendersProcess
from infra.local.data_directory import DataDirectory, write_private
from infra.local.emulator import Emulator, EmulatorError
from infra.local.emulator_access import Access
from infra.local.environment import (
    LocalSettings,
    call_for_all_senders,
    keep_loopback_direct,
    report_into_files,
    use_embedded,
    use_given,
)
from infra.local.garbage import collect_seldom

if TYPE_CHECKING:
    from infra.local.workers import Service

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 1.0
_NO_GATEWAY = "none: messages are taken and not sent (GATEWAY=sandbox)"


class StartError(Exception):
    """The run cannot start; the text is for a person."""


class Run:
    """One `make run`, from the start to the end of everything it needs."""

    def __init__(self, local: LocalSettings, directory: DataDirectory, terminal: TextIO) -> None:
        self._local = local
        self._directory = directory
        self._terminal = terminal
        self._stopping = threading.Event()
        self._emulator: Emulator | None = None
        self._sandbox: SandboxProcess | None = None
        self._senders: list[SendersProcess] = []
        self._fronts: list[FrontProcess] = []
        self._service: Service | None = None
        self._to_prepare = False  # whether an emulator that began again is still without queues
        self._url = ""  # where the service is
        self._trouble = ""  # why nothing can be written at this moment

    def execute(self, listener: socket.socket, url: str) -> bool:
        """Start everything, watch it until `ask_to_stop`, and end it. Returns whether all data could be saved."""
        self._url = url
        try:
            about_user = self._start(listener)
            about = {
                "url": url,
                "username": self._local.admin_username,
                "gateway": self._local.gateway_address(os.environ.get("GATEWAY_URL", "")),
            }
            write_private(self._directory.service_file, about)
            self._announce(url, about_user)
            while not self._stopping.wait(_WATCH_SECONDS):
                self._watch()
            self._say("Stopping ...")
        finally:
            saved = self._end()
        return saved

    def ask_to_stop(self) -> None:
        """Let `execute` end. If it is called twice, nothing is waited for, but the emulator still saves its data."""
        if self._stopping.is_set():
            if self._emulator is not None:
                self._emulator.stop(bound=0)
            os._exit(1)
        self._stopping.set()

    # --- start

    def _start(self, listener: socket.socket) -> str:
        """Start processes first, so that they start while this one imports. Returns what to tell about the user."""
        if not (self._local.gateway_url or self._local.gateways) and self._local.gateway in ("", "http"):
            self._sandbox = SandboxProcess(self._directory.log("sandbox"))
        senders = self._local.sender_processes
        self._senders = [SendersProcess(senders) for _ in range(senders)]
        self._fronts = [FrontProcess(listener) for _ in range(self._local.api_processes)]
        with ThreadPoolExecutor(1) as pool:
            emulator = None if self._local.endpoint_url else pool.submit(self._start_emulator)
            from chalicelib import bootstrap
            from chalicelib.config import Settings
            from infra.local.first_user import ensure_first_user
            from infra.local.workers import Service, create_resources, log_as_the_service

            if emulator is not None:
                emulator.result()
        self._set_environment()
        log_as_the_service()
        settings = Settings.from_environment()
        create_resources(settings)
        for sender in self._senders:
            sender.begin()
        local = self._local
        users = bootstrap.get_services().users
        about_user = ensure_first_user(users, self._directory, local.admin_username, local.admin_password)
        for front in self._fronts:
            front.begin()

        from app import app

        self._service = Service(app, settings)
        collect_seldom()
        self._service.start()
        if self._emulator is not None:
            self._service.set_going(self._emulator.queues_are_lost())
        for child in (*self._senders, *self._fronts):
            child.await_ready()
        return about_user

    def _start_emulator(self) -> None:
        self._emulator = Emulator.start_or_adopt(self._directory)

    def _set_environment(self) -> None:
        environ = os.environ
        if self._emulator is not None:
            use_embedded(environ, self._emulator.endpoint, Access.of(self._directory))
        else:
            use_given(environ)
        keep_loopback_direct(environ)
        call_for_all_senders(environ)
        environ["LOG_ACCEPTED"] = environ.get("LOG_ACCEPTED", "").strip() or "true"  # which costs nothing here
        report_into_files(environ, self._directory.reports)
        if self._sandbox is not None:
            self._sandbox.await_ready()
            environ["GATEWAY_URL"] = self._sandbox.url
            environ["GATEWAY_TOKEN"] = environ.get("GATEWAY_TOKEN") or "sandbox"
            environ["GATEWAY_RECEIPTS"] = environ.get("GATEWAY_RECEIPTS", "").strip() or "true"
            environ["PUBLIC_URL"] = environ.get("PUBLIC_URL", "").strip() or self._url
            environ["GATEWAY_RECOGNISES_IDS"] = environ.get("GATEWAY_RECOGNISES_IDS", "").strip() or "true"

    # --- watch

    def _watch(self) -> None:
        """Restart processes that have ended, and rotate logs that are too long."""
        for name in ("service", "emulator", "sandbox"):
            logs.rotate(self._directory.log(name))
        if self._sandbox is not None:
            self._sandbox.revive()
        for child in (*self._senders, *self._fronts):
            child.revive()
        if self._emulator is not None and not self._stopping.is_set():
            self._watch_emulator(self._emulator)

    def _watch_emulator(self, emulator: Emulator) -> None:
        """Restart an emulator that has ended, with its data. Raises StartError if that fails, which ends the run."""
        if not emulator.alive():
            self._say("The emulator ended and was started again. No data was lost.")
            try:
                self._emulator = emulator = Emulator.start_or_adopt(self._directory, emulator.port)
            except EmulatorError as error:
                raise StartError(f"the emulator ended, and cannot be started again: {error}") from error
            self._to_prepare = True
        if self._to_prepare:
            self._prepare()
        trouble = emulator.trouble()
        if trouble and not self._trouble:
            self._say(f"Requests are refused: {trouble} ({self._directory.path}). Everything saved before is kept.")
        elif self._trouble and not trouble:
            self._say("There is room again. The service continues.")
        self._trouble = trouble
        for front in self._fronts:
            front.tell_trouble(trouble)

    def _prepare(self) -> None:
        """Create the queues in a restarted emulator, and have their contents sent again."""
        from botocore.exceptions import BotoCoreError, ClientError

        from chalicelib.config import Settings
        from chalicelib.domain.errors import Unavailable
        from infra.local.workers import create_resources

        try:
            create_resources(Settings.from_environment())
            if self._service is not None:
                self._service.set_going()
        except (BotoCoreError, ClientError, Unavailable) as error:
            logger.error("the emulator cannot be prepared yet: %s", error)
        else:
            self._to_prepare = False

    # --- end

    def _end(self) -> bool:
        """End the processes, callers before those they call. Returns whether the emulator could save its data."""
        self._directory.service_file.unlink(missing_ok=True)
        for child in (*self._fronts, *self._senders):
            child.ask_to_stop()
        if self._service is not None:
            self._service.stop()
        for child in (*self._fronts, *self._senders):
            child.stop()
        if self._sandbox is not None:
            self._sandbox.stop()
        if self._emulator is not None and not self._emulator.stop():
            self._say(f"The emulator (pid {self._emulator.pid}) is still saving its data.")
        self._directory.run_lock.release()
        if self._emulator is None or (self._emulator.saved and not self._trouble):
            return True
        self._say("There was no room to save everything. All acknowledged data is in the emulator's journal.")
        return False

    # --- the terminal

    def _kind(self) -> str:
        """The text for a gateway without an address, or for several."""
        if self._local.gateways:
            return "several (GATEWAYS)"
        declaration = os.environ.get("GATEWAY_DECLARATION", "").strip()
        shown = declaration if declaration.isalnum() else "a declaration of your own"
        return {"declared": shown, "eum": "AWS End User Messaging"}.get(self._local.gateway, _NO_GATEWAY)

    def _announce(self, url: str, about_user: str) -> None:
        local = self._local
        emulator = self._emulator.endpoint if self._emulator is not None else local.endpoint_url
        gateway = f"{self._sandbox.url}/ (sandbox)" if self._sandbox is not None else local.gateway_url or self._kind()
        lines = {
            "Admin": f"{url}/admin/",
            "API": f"{url}/api/",
            "Docs": f"{url}/api/docs/",
            "Gateway": gateway,
            "Emulator": f"{emulator} (DynamoDB, SQS)",
            "Data": f"{self._directory.path} (logs, too)",
            "User": ", ".join(filter(None, (local.admin_username, about_user))),
        }
        for name, text in lines.items():
            self._say(f"  {name:<9} {text}")
        self._say(f"Ready: {url}/")

    def _say(self, text: str) -> None:
        try:
            self._terminal.write(text + "\n")
            self._terminal.flush()
        except OSError:
            logger.info("the terminal was closed")
