"""`python -m inference.gateway.serve --host 0.0.0.0 --port 8001`: the gateway as a process, with TLS and draining.

On SIGTERM it is not ready any more (`/v2/health/ready` answers 503 `draining`) but goes on answering for as long as
`--drain` says, so that balancers turn elsewhere; then it takes no more connections and finishes what it began.
A second signal ends it at once. On SIGHUP, and when the files change, the certificate is read again.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings

from inference.gateway.app import application
from inference.gateway.connection import Connection
from inference.gateway.tls import Certificate

FINISH_SECONDS = 3
LOOK_SECONDS = 30.0
REFUSES = 3  # the exit status that says: as things are, it will not work


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, grace: float, certificate: Certificate | None) -> None:
        super().__init__(config)
        self.grace, self.certificate = grace, certificate
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: Any = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.certificate is not None:
            self.loop.add_signal_handler(signal.SIGHUP, self.certificate.renew)
            self.loop.call_later(LOOK_SECONDS, self.look)

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
    Server(config, asked.drain, certificate).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
