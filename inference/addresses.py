"""Where a request comes from, and whether that is within given networks. Knows no framework."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
MAPPED_BITS = 96
# A header that names more hops than this was made to keep us busy.
HOPS = 32


@lru_cache(maxsize=4096)
def network_of(text: str) -> Network:
    """A network as `192.0.2.0/24` or `2001:db8::/32`, or one address; of IPv4 also where it is written as IPv6.

    Raises ValueError, also for bits of a host.
    """
    found = ip_network(text)
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    # Its prefix has at least the 96 bits of ::ffff:0:0/96: a shorter one would have bits of a host.
    return found if mapped is None else IPv4Network((mapped, found.prefixlen - MAPPED_BITS))


def address_of(text: str) -> Address | None:
    """An address; one of IPv4 that is written as IPv6 is one of IPv4. None for anything else."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def within(address: Address | None, networks: Iterable[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


def sender_of(peer: str, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> Address | None:
    """Who sent a request: the peer, or where that is a trusted proxy, whom its `X-Forwarded-For` names.

    `forwarded` are the header's values in their order. Each proxy adds on the right whom it heard from, so the first
    that is no trusted proxy, read from the right, is the sender: what stands to its left is the sender's own word, and
    counts for nothing. None where it cannot be said.
    """
    sender = address_of(peer)
    if not trusted or not forwarded:
        return sender
    hops = b",".join(forwarded).decode("latin-1").rsplit(",", HOPS)[-HOPS:]
    while hops and within(sender, trusted):
        sender = address_of(hops.pop().strip())
    return sender
