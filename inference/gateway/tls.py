"""The certificate that the gateway itself shows, read again when its files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

log = logging.getLogger("inference.gateway")


class Certificate:
    """PEM files: the chain, the server's certificate first, and its key without a password."""

    def __init__(self, chain: str, key: str) -> None:
        """Raises ValueError with what is wrong, in words for the operator."""
        if not chain or not key:
            raise ValueError("GATEWAY_TLS_CERT and GATEWAY_TLS_KEY go together; one of them is not set.")
        self.chain, self.key = chain, key
        self.context = self.fresh()
        self.seen = self.stamp()

    def fresh(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.chain, self.key, password=no_password)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"GATEWAY_TLS_CERT {self.chain} and GATEWAY_TLS_KEY {self.key} are no certificate chain and its key "
                f"in PEM, without a password ({type(error).__name__})."
            ) from error
        return context

    def stamp(self) -> tuple[float, ...]:
        try:
            return tuple(Path(each).stat().st_mtime for each in (self.chain, self.key))
        except OSError:
            return ()

    def changed(self) -> bool:
        return self.stamp() != self.seen

    def renew(self) -> bool:
        """Show new connections what the files hold now; where that is no good, what they held before."""
        self.seen = self.stamp()
        try:
            self.fresh()
        except ValueError as error:
            log.error("the certificate is not taken, the one before stays: %s", error)
            return False
        self.context.load_cert_chain(self.chain, self.key, password=no_password)
        log.warning("the certificate was read again")
        return True


def no_password() -> str:
    """Asked for where the key has one; a terminal would be asked otherwise."""
    raise ValueError("the key has a password")
