"""One HTTP request to a server that nobody here controls: no redirects, bounded in time and in size."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ledger.anchors.guard import Connect, NotPublic
from ledger.anchors.targets import Failed

CONNECT_SECONDS = 5.0
WHOLE_SECONDS = 12.0
LARGEST_ANSWER = 64 * 1024


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


def loopback(host: str) -> bool:
    """Whether a host's name or address can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def send(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", limit: int = LARGEST_ANSWER,
    seconds: float = WHOLE_SECONDS, connect: Connect | None = None,
) -> Answer:  # fmt: skip
    """Send one request and read the answer, of at most `limit` bytes, within `seconds` from first to last.

    `connect` opens the connection where the address is not the operator's own (see `guard`). Raises Failed
    `not_public`, `unreachable`, `timed_out`, `answer_too_large`, `answer_malformed` or `redirected`.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=CONNECT_SECONDS, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=CONNECT_SECONDS)
    if connect is not None:
        connection._create_connection = connect  # type: ignore[attr-defined]
    late, held = threading.Event(), list[socket.socket]()

    def cut() -> None:
        late.set()
        for one in held or [connection.sock]:
            with contextlib.suppress(OSError, AttributeError):
                # Not the method of TLS's own class, which changes what the reading thread is using.
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    # A time-out of the socket starts anew with each byte; a server that drips would never meet it.
    watch = threading.Timer(seconds, cut)
    watch.daemon = True
    watch.start()
    try:
        connection.connect()
        held.append(connection.sock)  # the connection forgets it as soon as an answer says that it is the last
        connection.request(method, target(parts.path, parts.query), body=body or None, headers=dict(headers))
        response = connection.getresponse()
        with contextlib.closing(response):
            content = response.read(limit + 1)
    except (OSError, http.client.HTTPException) as error:
        raise slow(host) if late.is_set() or isinstance(error, TimeoutError) else unusable(host, error) from error
    finally:
        watch.cancel()
        connection.close()
    if late.is_set():
        raise slow(host)
    if len(content) > limit:
        raise Failed("answer_too_large", f"{host} answered with more than {limit} bytes. Check the address.")
    if 300 <= response.status < 400:
        raise Failed("redirected", f"{host} answered with a redirect, which is not followed. Give the final address.")
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)


def target(path: str, query: str) -> str:
    return (path or "/") + (f"?{query}" if query else "")


def unusable(host: str, error: Exception) -> Failed:
    if isinstance(error, NotPublic):
        return Failed("not_public", f"{host} is an address within. Ask whoever runs the portal to allow it.")
    if isinstance(error, ssl.SSLError):
        return Failed("unreachable", f"No secure connection to {host} was possible. Check its certificate.")
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return Failed("answer_malformed", f"What answers at {host} does not speak HTTP. Check the address.")
    return Failed("unreachable", f"{host} does not answer. Check its address and the way there.")


def slow(host: str) -> Failed:
    return Failed("timed_out", f"{host} took too long to answer. It is tried again at the next run.")


def refused(host: str, status: int) -> Failed:
    """For an answer that says no; what the other side writes is not repeated."""
    return Failed("refused", f"{host} answered with status {status}. Look into its own log for the reason.")
