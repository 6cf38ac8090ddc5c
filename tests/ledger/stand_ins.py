"""Servers that anchors talk to, made for tests and independent of the code under test."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger import merkle
from ledger.anchors.targets import Published
from ledger.notes import Checkpoint, SigningKey, sign


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}


@contextlib.contextmanager
def served(answer: Callable[[Asked], Reply]) -> Iterator[str]:
    """Serve on a loopback port while the block runs; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = answer(Asked(self.command, self.path, headers, body))
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(reply.body)

        do_GET = do_PUT = do_POST

        def log_message(self, *line: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class TimeStamps:
    """A time-stamp authority out of OpenSSL: its own root, a signer, and `openssl ts -reply`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root.pem"
        self.make("root", "/CN=Root of the test", "basicConstraints=critical,CA:TRUE")
        self.make(
            "signer", "/CN=Time-stamps of the test", "extendedKeyUsage=critical,timeStamping",
            "-CA", "root.pem", "-CAkey", "root.key",
        )  # fmt: skip
        (folder / "serial").write_text("01")
        (folder / "tsa.cnf").write_text(
            "[tsa]\nserial=serial\ncrypto_device=builtin\nsigner_cert=signer.pem\nsigner_key=signer.key\n"
            "signer_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256\n"
        )

    def make(self, name: str, subject: str, extension: str, *issuer: str) -> None:
        self.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
            "-subj", subject, "-addext", extension, "-keyout", f"{name}.key", "-out", f"{name}.pem", *issuer,
        )  # fmt: skip

    def openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def answer(self, asked: Asked) -> Reply:
        (self.folder / "query.tsq").write_bytes(asked.body)
        self.openssl(
            "ts", "-reply", "-config", "tsa.cnf", "-section", "tsa", "-queryfile", "query.tsq", "-out", "reply.tsr"
        )
        return Reply(200, (self.folder / "reply.tsr").read_bytes(), {"Content-Type": "application/timestamp-reply"})


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def grew(old: int, new: int, before: bytes, after: bytes, proof: list[bytes]) -> bool:
    """RFC 6962, 2.1.2, by recursion as its definition is written: unlike the loop of RFC 9162 that the project has."""
    rest = list(proof)

    def split(size: int) -> int:
        return 1 << ((size - 1).bit_length() - 1)

    def walk(first: int, size: int, whole: bool) -> tuple[bytes, bytes]:
        """Roots over the first `first` of `size` entries, and over all of them, by hashes from the proof's end."""
        if first == size:
            one = before if whole else rest.pop(0)
            return one, one
        half = split(size)
        if first <= half:
            small, large = walk(first, half, whole)
            return small, node(large, rest.pop(0))
        small, large = walk(first - half, size - half, False)
        left = rest.pop(0)
        return node(left, small), node(left, large)

    if old in (0, new):
        return not proof and (old == 0 or before == after)
    try:
        return walk(old, new, True) == (before, after) and not rest
    except IndexError:
        return False


class Witness:
    """A witness as c2sp.org/tlog-witness has it, for one log. It keeps what it co-signed last."""

    def __init__(self, origin: str, log_key: bytes, log_key_id: bytes, name: str = "witness.test/w1") -> None:
        self.origin, self.log_key, self.log_key_id, self.name = origin, log_key, log_key_id, name
        self.private = Ed25519PrivateKey.generate()
        material = b"\x04" + self.private.public_key().public_bytes_raw()
        self.key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
        self.vkey = f"{name}+{self.key_id.hex()}+{base64.b64encode(material).decode()}"
        self.size, self.root = 0, b""
        self.asked: list[int] = []
        self.clock: Callable[[], float] = time.time
        self.lock = threading.Lock()

    def answer(self, asked: Asked) -> Reply:
        if asked.path != "/add-checkpoint":
            return Reply(404)
        head, _, note = asked.body.partition(b"\n\n")
        first, *proof = head.decode().split("\n")
        body, _, lines = note.rpartition(b"\n\n")
        body += b"\n"
        origin, size, root = body.decode().split("\n")[:3]
        old = int(first.removeprefix("old "))
        with self.lock:
            self.asked.append(old)
            if origin != self.origin:
                return Reply(404)
            if not self.signed(body, lines):
                return Reply(403)
            if old > int(size):
                return Reply(400)
            if old != self.size:
                return Reply(409, b"%d\n" % self.size, {"Content-Type": "text/x.tlog.size"})
            hashes = [base64.b64decode(one) for one in proof]
            if not grew(old, int(size), self.root, base64.b64decode(root), hashes):
                return Reply(422)
            self.size, self.root = int(size), base64.b64decode(root)
            return Reply(200, self.cosign(body))

    def signed(self, body: bytes, lines: bytes) -> bool:
        for line in lines.decode().splitlines():
            dash, name, encoded = line.split(" ")
            data = base64.b64decode(encoded)
            if (dash, name, data[:4]) == ("—", self.origin, self.log_key_id):
                try:
                    Ed25519PublicKey.from_public_bytes(self.log_key).verify(data[4:], body)
                except InvalidSignature:
                    return False
                return True
        return False

    def cosign(self, body: bytes) -> bytes:
        moment = int(self.clock())
        signature = self.private.sign(f"cosignature/v1\ntime {moment}\n".encode() + body)
        data = base64.b64encode(self.key_id + moment.to_bytes(8, "big") + signature).decode()
        return f"— {self.name} {data}\n".encode()


class Log:
    """A log in memory, to publish checkpoints of; `fork_at` gives a second one that differs from there on."""

    def __init__(self, origin: str = "log.test/one") -> None:
        self.origin, self.key = origin, SigningKey.generate(origin)
        self.leaves = [merkle.leaf_hash(b"%d" % number) for number in range(40)]

    def fork_at(self, size: int) -> Log:
        other = Log(self.origin)
        other.key, other.leaves[size:] = self.key, [merkle.leaf_hash(b"other")] * (len(self.leaves) - size)
        return other

    def note(self, size: int) -> bytes:
        body = Checkpoint(self.origin, size, merkle.root(self.leaves[:size])).body()
        return sign(body, [self.key])

    def published(self, size: int) -> Published:
        return Published(self.origin, size, self.note(size))

    def prove(self, old: int, new: int) -> list[bytes]:
        return merkle.consistency(
            old, new, lambda level, index: merkle.root(self.leaves[index << level : (index + 1) << level])
        )

    def witness(self, name: str = "witness.test/w1") -> Witness:
        verifier = self.key.verifier
        return Witness(self.origin, verifier.public, verifier.id.to_bytes(4, "big"), name)
