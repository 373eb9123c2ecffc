"""The command line's side of the API."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

DEFAULT_URL = "http://127.0.0.1:8741"
TIMEOUT_S = 5.0


class ClientError(Exception):
    """The daemon could not be asked or refused. `exit_code`: 2 not reachable, 1 refused."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Api:
    """Where the daemon is, and the token file that it wants (None on loopback)."""

    url: str = DEFAULT_URL
    token_file: Path | None = None

    def get(self, path: str, **params: str | int | float | None) -> Any:
        """The JSON at /api/v1/`path`; ClientError otherwise."""
        given = {key: value for key, value in params.items() if value is not None}
        return self._request("GET", path, params=given)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to a POST; ClientError otherwise."""
        return self._request("POST", path, json=body)

    def _headers(self) -> dict[str, str]:
        if self.token_file is None:
            return {}
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ClientError(f"token file {self.token_file}: {error}", 2) from error
        return {"Authorization": f"Bearer {token}"}

    def _request(self, method: str, path: str, **more: Any) -> Any:
        url = f"{self.url.rstrip('/')}/api/v1/{path}"
        headers = self._headers()
        try:
            # No proxies of the environment: the daemon is on this machine or named on purpose.
            with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as http:
                answer = http.request(method, url, headers=headers, **more)
        except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            reason = _short(error)
            raise ClientError(
                f"no umbra daemon at {self.url} ({reason}); start one with "
                "'umbra run --config FILE', or name it with --api URL or UMBRA_API",
                2,
            ) from error
        return _json(answer, self.url)


def _short(error: Exception) -> str:
    text = str(error).strip()
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {TIMEOUT_S:g} s"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return text.splitlines()[0].lower() if text else type(error).__name__


def _json(answer: httpx.Response, url: str) -> Any:
    try:
        body = answer.json()
    except ValueError as error:
        raise ClientError(
            f"{url} answered {answer.status_code} without JSON; it is no umbra daemon", 2
        ) from error
    if answer.is_success:
        return body
    if isinstance(body, dict) and "detail" in body:
        message = str(body["detail"])
        if body.get("remedy"):
            message += f"; {body['remedy']}"
        raise ClientError(message, 1)
    raise ClientError(f"{url} answered {answer.status_code}", 1)
