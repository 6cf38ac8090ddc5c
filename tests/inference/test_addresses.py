"""Who sent a request: the connection says it, a header only where a trusted proxy wrote it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import keys
from inference.addresses import HOPS, address_of, network_of, sender_of, within
from inference.gateway.admission import Admission, Caller
from inference.gateway.app import headers_of, trusted_proxies
from inference.gateway.board import Board, KeyTerms, Served, Snapshot, clock
from inference.gateway.refused import Refused

PROXIES = [network_of("10.0.0.0/24"), network_of("fd00::/8")]
ADDRESSES = st.ip_addresses().map(str)


@pytest.mark.parametrize(
    ("peer", "forwarded", "sender"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        # Nobody but a trusted proxy is believed.
        ("192.0.2.7", [b"198.51.100.1"], "192.0.2.7"),
        ("10.0.0.9", [], "10.0.0.9"),
        ("10.0.0.9", [b"192.0.2.7"], "192.0.2.7"),
        ("fd00::1", [b"2001:db8::5"], "2001:db8::5"),
        # What the sender wrote himself stands on the left.
        ("10.0.0.9", [b"198.51.100.1, 192.0.2.7"], "192.0.2.7"),
        ("10.0.0.9", [b"198.51.100.1", b"192.0.2.7"], "192.0.2.7"),
        ("10.0.0.9", [b"198.51.100.1, 192.0.2.7,10.0.0.8"], "192.0.2.7"),
        ("10.0.0.9", [b"10.0.0.7, 10.0.0.8"], "10.0.0.7"),
        ("10.0.0.9", [b"198.51.100.1, 192.0.2.7, 192.0.2.9, 10.0.0.8"], "192.0.2.9"),
        # What cannot be read is nobody, and not whoever stands beside it.
        ("10.0.0.9", [b"198.51.100.1, unknown"], None),
        ("10.0.0.9", [b"198.51.100.1,"], None),
        ("10.0.0.9", [b""], None),
        ("10.0.0.9", [b"192.0.2.7:443"], None),
        ("10.0.0.9", [b"\xff\x00"], None),
        ("", [b"198.51.100.1"], None),
        # An address of IPv4 in the writing of IPv6 is that address.
        ("::ffff:10.0.0.9", [b"::ffff:192.0.2.7"], "192.0.2.7"),
        ("10.0.0.9", [b",".join([b"198.51.100.1", *[b"10.0.0.1"] * HOPS])], "10.0.0.1"),
    ],
)
def test_who_sent_it(peer, forwarded, sender):
    assert sender_of(peer, forwarded, PROXIES) == (ip_address(sender) if sender else None)
    assert sender_of(peer, forwarded, []) == address_of(peer)


@given(ADDRESSES, st.lists(st.one_of(ADDRESSES.map(str.encode), st.binary(max_size=20)), max_size=5), ADDRESSES)
def test_nobody_becomes_another_by_what_he_writes(peer, written, proxy):
    """Through one trusted proxy, which adds whom it heard from, and without one."""
    trusted = [network_of(proxy)]
    real = address_of(peer)
    if real == address_of(proxy):
        return
    assert sender_of(peer, written, trusted) == real
    assert sender_of(proxy, [*written, peer.encode()], trusted) == real


def test_networks():
    assert within(address_of("192.0.2.7"), [network_of("192.0.2.0/24")])
    assert within(address_of("::ffff:192.0.2.7"), [network_of("192.0.2.7")])
    assert network_of("::ffff:192.0.2.0/120") == network_of("192.0.2.0/24")
    assert str(network_of("::ffff:0:0/96")) == "0.0.0.0/0"
    assert not within(address_of("192.0.3.7"), [network_of("192.0.2.0/24"), network_of("::/0")])
    assert not within(None, [network_of("0.0.0.0/0"), network_of("::/0")])
    for wrong in ("192.0.2.7/24", "192.0.2", "here", "", "192.0.2.0/33"):
        with pytest.raises(ValueError, match=r"."):
            network_of(wrong)


def admission(*networks, trusted=()):
    parts = keys.new()
    terms = KeyTerms(
        1, keys.digest(parts.secret, ""), {5: frozenset({"infer"})}, 60, clock() + 60,
        networks=tuple(map(network_of, networks)),
    )  # fmt: skip
    served = Served(5, "loans", "3", "production", "loans", (), (), "decision", 10, 1024, None, "unbound", ())
    board = Board(Snapshot({"loans": served}, {parts.id: terms}, clock(), clock() + 30))
    return Admission(board, "", trusted=trusted), f"Bearer {keys.text_of(parts)}".encode()


def test_a_key_opens_from_its_networks_only():
    gate, key = admission("192.0.2.0/24", trusted=PROXIES)

    def ask(client, *forwarded, authorization=key, name="loans"):
        given = [(b"authorization", authorization), *((b"x-forwarded-for", each) for each in forwarded)]
        try:
            return gate.admit(headers_of(given, client), name, None, "infer")[1].name
        except Refused as refused:
            return refused.status, refused.code

    inside, outside = ("192.0.2.7", 4711), ("198.51.100.1", 4711)
    refused = (403, "address_not_allowed")
    assert ask(inside) == "loans"
    assert ask(outside) == ask(None) == refused
    assert ask(outside, b"192.0.2.7") == refused
    assert ask(("10.0.0.9", 1), b"192.0.2.7") == "loans"
    assert ask(("10.0.0.9", 1), b"192.0.2.7", b"198.51.100.1") == refused
    assert ask(("10.0.0.9", 1), b"192.0.2.7, 198.51.100.1") == refused
    # From elsewhere a key tells nothing of what exists, and a wrong one is wrong from everywhere.
    assert ask(outside, name="nothing") == refused
    assert ask(outside, authorization=b"Bearer cs_live_") == (401, "key_invalid")
    with pytest.raises(Refused) as found:
        gate.only_endpoint(Caller(key, "198.51.100.1"))
    assert found.value.code == "address_not_allowed"
    assert gate.only_endpoint(Caller(key, "192.0.2.7")) == "loans"
    assert gate.board.used == {1}
    anywhere, key = admission()
    assert anywhere.admit(Caller(key, ""), "loans", None, "infer")


def test_the_operators_proxies_are_networks(settings):
    settings.TRUSTED_PROXIES = ["10.0.0.0/24", "fd00::/8"]
    assert trusted_proxies() == PROXIES
    settings.TRUSTED_PROXIES = ["10.0.0.9/24"]
    with pytest.raises(ValueError, match=r"TRUSTED_PROXIES: 10\.0\.0\.9/24 has host bits set"):
        trusted_proxies()
