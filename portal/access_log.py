"""gunicorn's access log, without the secrets of one-time links in paths and referrers."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from portal.hiding import hide


class AccessLog(Logger):  # type: ignore[misc]
    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        found = super().atoms(resp, req, environ, request_time)
        return {name: hide(value) if isinstance(value, str) else value for name, value in found.items()}
