"""The gateway as its operators run it: TLS with a certificate that changes, and an end that loses no request."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from inference.gateway.tls import Certificate
from portal.supervisor.spawn import spawn
from tests.inference.gateway import ROOT, a_world, bearer, body, until


def a_certificate(folder: Path, name: str, *, password: bytes = b"") -> tuple[Path, Path]:
    """PEM files of a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )  # fmt: skip
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )  # fmt: skip
    return chain, secret


def shown(port: int) -> str:
    """Whose certificate is shown to new connections."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    (name,) = x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


def test_it_shows_its_certificate_and_ends_without_losing_a_request(cast, committing_db, process_environment, tmp_path):
    world = a_world(cast)
    chain, key = a_certificate(tmp_path, "first")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        port = listener.getsockname()[1]
        environment = {
            **process_environment, "GATEWAY_TLS_CERT": str(chain), "GATEWAY_TLS_KEY": str(key),
        }  # fmt: skip
        command = ["-m", "inference.gateway.serve", "--fd", str(listener.fileno()), "--drain", "1.5"]
        process = spawn(
            [sys.executable, *command], cwd=ROOT, env=environment, pass_fds=[listener.fileno()],
            death_signal=signal.SIGKILL, show=True,
        )  # fmt: skip
    trusted = ssl.create_default_context(cafile=str(chain))
    try:
        with httpx.Client(base_url=f"https://localhost:{port}", verify=trusted, timeout=10) as client:

            def ready():
                with contextlib.suppress(httpx.TransportError):
                    return client.get("/v2/health/ready").status_code
                return 0

            def predicts():
                answer = client.post(f"{world.path}/infer", json=body(), headers=bearer(world.secret))
                return answer.status_code == 200

            until(lambda: ready() == 200 and predicts(), 20)
            assert shown(port) == "first"
            with pytest.raises(httpx.TransportError):
                httpx.get(f"http://localhost:{port}/v2/health/live")
            a_certificate(tmp_path, "second")
            process.send_signal(signal.SIGHUP)
            until(lambda: shown(port) == "second", 5)
            assert predicts(), "the connection that was there goes on"
            key.write_text("no key")
            process.send_signal(signal.SIGHUP)
            assert predicts()
            assert shown(port) == "second", "what is no good is not taken"
            process.send_signal(signal.SIGTERM)
            until(lambda: ready() == 503, 1)
            assert client.get("/v2/health/ready").json()["code"] == "draining"
            assert predicts(), "while others are told to turn elsewhere"
        assert process.wait(10) in (0, -signal.SIGTERM)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_certificate_that_is_none_is_refused_in_words(tmp_path):
    chain, key = a_certificate(tmp_path, "first", password=b"secret")
    for given in ((str(chain), ""), (str(chain), str(key)), (str(chain), str(chain)), (str(tmp_path / "no"), str(key))):
        with pytest.raises(ValueError, match="GATEWAY_TLS_CERT"):
            Certificate(*given)
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings", "GATEWAY_TLS_CERT": str(chain),
        "GATEWAY_TLS_KEY": str(key),
    }  # fmt: skip
    command = [sys.executable, "-m", "inference.gateway.serve", "--port", "1"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 3
    assert "in PEM, without a password" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_change_of_the_files_is_seen(tmp_path):
    certificate = Certificate(*map(str, a_certificate(tmp_path, "first")))
    assert not certificate.changed()
    chain, _ = a_certificate(tmp_path, "second")
    os.utime(chain, (0, 0))
    assert certificate.changed()
    assert certificate.renew()
    assert not certificate.changed()
    chain.unlink()
    assert certificate.changed()
    assert not certificate.renew()


def test_a_gateway_that_uses_more_memory_than_it_may_ends_in_order_to_be_started_anew(
    committing_db, process_environment
):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        port = listener.getsockname()[1]
        command = ["-m", "inference.gateway.serve", "--fd", str(listener.fileno()), "--drain", "1"]
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env={**process_environment, "GATEWAY_MEMORY_BYTES": str(1024**2)},
            pass_fds=[listener.fileno()], stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:

            def told():
                with contextlib.suppress(httpx.TransportError):
                    return client.get("/v2/health/ready").json()
                return {}

            until(lambda: told().get("memory_bytes", 0) > 1024**2, 20)
            until(lambda: told().get("code") == "draining", 5)
            assert client.get("/v2/health/live").status_code == 200, "it answers on while others are asked"
        _, said = process.communicate(timeout=10)
        assert process.returncode == os.EX_TEMPFAIL
        assert "GATEWAY_MEMORY_BYTES" in said
    finally:
        process.kill()
        process.wait()
