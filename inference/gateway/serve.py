"""`python -m inference.gateway.serve --host 0.0.0.0 --port 8001`: the gateway as a process, with TLS and draining.

On SIGTERM it is not ready any more (`/v2/health/ready` answers 503 `draining`) but goes on answering for as long as
`--drain` says, so that balancers turn elsewhere; then it takes no more connections and finishes what it began.
A second signal ends it at once. On SIGHUP, and when the files change, the certificate is read again.
Where it uses more memory than `GATEWAY_MEMORY_BYTES` it ends likewise, with status 75, to be started anew.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings

from inference.gateway import memory
from inference.gateway.app import application
from inference.gateway.connection import Connection
from inference.gateway.tls import Certificate

log = logging.getLogger("inference.gateway")
FINISH_SECONDS = 3
LOOK_SECONDS = 30.0
MEMORY_SECONDS = 2.0
REFUSES = 3  # the exit status that says: as things are, it will not work


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, grace: float, certificate: Certificate | None, ceiling: int = 0) -> None:
        """`ceiling` is how many bytes of memory it may use; 0 for as many as there are."""
        super().__init__(config)
        self.grace, self.certificate, self.ceiling = grace, certificate, ceiling
        self.full = False
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: Any = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.certificate is not None:
            self.loop.add_signal_handler(signal.SIGHUP, self.certificate.renew)
            self.loop.call_later(LOOK_SECONDS, self.look)
        if self.ceiling:
            self.loop.call_later(MEMORY_SECONDS, self.weigh)

    def weigh(self) -> None:
        """End where memory is over the ceiling: what it lost track of, only a new process gives back."""
        assert self.loop is not None
        uses = memory.used()
        if uses <= self.ceiling:
            self.loop.call_later(MEMORY_SECONDS, self.weigh)
            return
        if not application.board.draining:
            mib = 1024**2
            log.error(
                "the gateway uses %d MiB of memory and may use %d (GATEWAY_MEMORY_BYTES): it ends, to be started anew",
                uses // mib, self.ceiling // mib,
            )  # fmt: skip
            self.full = application.board.draining = True
            self.loop.call_later(self.grace, self.leave)

    def leave(self) -> None:
        self.should_exit = True

    def look(self) -> None:
        assert self.loop is not None
        assert self.certificate is not None
        if self.certificate.changed():
            self.certificate.renew()
        self.loop.call_later(LOOK_SECONDS, self.look)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        board = application.board
        if not self.grace or self.loop is None or board.draining:
            super().handle_exit(sig, frame)
            return
        board.draining = True
        self.loop.call_soon_threadsafe(self.loop.call_later, self.grace, super().handle_exit, sig, None)


def main(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="inference.gateway.serve", description="The gateway as a process.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--fd", type=int, help="a listening socket that was handed down, in place of host and port")
    parser.add_argument(
        "--drain", type=float, default=0.0, help="seconds to answer on, no longer ready, before it ends"
    )
    parser.add_argument("--plain", action="store_true", help="show no certificate, whatever the settings say")
    parser.add_argument("--version", action="version", version=settings.VERSION)
    asked = parser.parse_args(given)
    certificate = None
    if not asked.plain and (settings.GATEWAY_TLS_CERT or settings.GATEWAY_TLS_KEY):
        try:
            certificate = Certificate(settings.GATEWAY_TLS_CERT, settings.GATEWAY_TLS_KEY)
        except ValueError as error:
            print(error, file=sys.stderr)
            return REFUSES
    context = None if certificate is None else certificate.context
    config = uvicorn.Config(
        application, host=asked.host, port=asked.port, fd=asked.fd, http=Connection, ws="none", access_log=False,
        log_level="error", proxy_headers=False, server_header=False, timeout_graceful_shutdown=FINISH_SECONDS,
        ssl_context_factory=None if context is None else lambda *_: context,
    )  # fmt: skip
    if settings.GATEWAY_MEMORY_BYTES:
        memory.wall(settings.GATEWAY_MEMORY_BYTES)
    server = Server(config, asked.drain, certificate, settings.GATEWAY_MEMORY_BYTES)
    server.run()
    return os.EX_TEMPFAIL if server.full else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
