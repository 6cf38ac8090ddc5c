"""AWS Signature Version 4 for one S3 request (Amazon S3 API reference, "Signature calculations for the header").

Pure. Written out because two kinds of request do not warrant an SDK; tests compare it with botocore's and with
Amazon's own example.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"


def signed(
    method: str, url: str, headers: Mapping[str, str], body: bytes, credentials: Credentials, now: datetime
) -> dict[str, str]:
    """The headers and those that sign them all. The path of `url` is percent-encoded already; `now` is UTC."""
    parts = urlsplit(url)
    moment, digest = now.strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(body).hexdigest()
    complete = {
        **{name.lower(): value.strip() for name, value in headers.items()},
        "host": parts.netloc, "x-amz-date": moment, "x-amz-content-sha256": digest,
    }  # fmt: skip
    names = ";".join(sorted(complete))
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True))
    )
    lines = "".join(f"{name}:{complete[name]}\n" for name in sorted(complete))
    request = f"{method}\n{parts.path or '/'}\n{query}\n{lines}\n{names}\n{digest}"
    scope = f"{moment[:8]}/{credentials.region}/s3/aws4_request"
    message = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, message.encode(), "sha256").hex()
    proof = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**complete, "authorization": f"AWS4-HMAC-SHA256 {proof}"}
