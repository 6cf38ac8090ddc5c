"""Addresses that people type in reach servers outside only, never what stands beside the portal."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection

Connect = Callable[..., socket.socket]
# Addresses of the Internet's version 6 that lead to one of version 4 (RFC 6052).
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


class NotPublic(OSError):
    """A name that leads, or leads among others, to an address inside."""


def connect_outside(internal: Collection[str]) -> Connect:
    """Opens a connection to a host whose every address is public, or that is named as `internal`.

    It connects to the very address that was looked at: a name that answers otherwise a moment later gains nothing.
    """

    def connect(address: tuple[str, int], timeout: float, source: object = None) -> socket.socket:
        host, port = address
        found = addresses_of(host, port)
        if host not in internal and not all(map(public, found)):
            raise NotPublic(f"{host} is not outside")
        return socket.create_connection((found[0], port), timeout)

    return connect


def addresses_of(host: str, port: int | None = None) -> list[str]:
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def leads_inside(host: str, internal: Collection[str]) -> bool:
    """Whether a host is or has, at this moment, an address inside. A name that is not known yet leads nowhere."""
    if host in internal:
        return False
    try:
        return not all(map(public, addresses_of(host)))
    except OSError:
        return False


def public(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # with a zone, so of this machine's own link
        return False
    if isinstance(address, ipaddress.IPv6Address):
        within = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in TRANSLATED:
            within = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if within is not None:
            return public(str(within))
    return address.is_global and not address.is_multicast
