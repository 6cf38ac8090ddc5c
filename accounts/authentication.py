"""How the REST API learns who asks: a bearer token, or the browser's session (which then needs its CSRF token)."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import ApiToken, User
from accounts.services import TOKEN_SHAPE, touch_token
from ledger.prepared import Prepared

USABLE = Prepared(lambda prefix: ApiToken.objects.usable().select_related("user").filter(prefix=prefix).order_by(), str)


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer cst_…`. One sentence for every failure: it tells a thief nothing."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, text = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        shape = TOKEN_SHAPE.match(text.strip())
        token = next(iter(USABLE(shape[1])), None) if shape else None
        digest = hashlib.sha256(text.strip().encode("latin-1")).digest()
        if token is None or not hmac.compare_digest(bytes(token.digest), digest):
            raise AuthenticationFailed(
                "This API token is unknown, expired or revoked. Make a new one on your account page."
            )
        touch_token(token)
        token.user.scopes = frozenset(token.scopes)
        if request.method in ("GET", "HEAD"):
            token.user.keep_scopes()
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="countersign"'


class BrowserSessionAuthentication(SessionAuthentication):
    """Django's session; `by` is then the same person as on the pages."""


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API token: `cst_…`"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = BrowserSessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "countersign_session"}
