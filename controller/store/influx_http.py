"""HTTP to an InfluxDB server: one client, and answers as errors that say whether trying again helps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from controller.store.interface import (
    RefusedError,
    SlowError,
    StoreError,
    TooLargeError,
    UnavailableError,
)

CONNECT_S = 3.0
PIECE = 256 << 10


@dataclass(frozen=True, slots=True)
class Login:
    """Either a token (2.x, 3) or a name and password (1.x); neither where the server asks for none."""

    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def headers(self) -> dict[str, str]:
        """For every request."""
        return {"Authorization": f"Token {self.token}"} if self.token else {}

    def basic(self) -> tuple[str, str] | None:
        """For httpx."""
        return (self.username, self.password or "") if self.username else None


@dataclass(frozen=True, slots=True)
class Server:
    """url: such as http://127.0.0.1:8086. database: the raw one; the long one is called {database}_long.

    timeout_s: of one request. ca_file: PEM, for https with a certificate of one's own authority.
    """

    url: str
    database: str = "umbra"
    org: str = "umbra"
    login: Login = Login()
    timeout_s: float = 10.0
    ca_file: str | None = None


class Http:
    """One server's client. Thread-safe."""

    def __init__(self, server: Server) -> None:
        self.server = server
        verify: Any = True
        if server.ca_file:
            import ssl

            verify = ssl.create_default_context(cafile=server.ca_file)
        self.client = httpx.Client(
            base_url=server.url,
            timeout=httpx.Timeout(server.timeout_s, connect=min(CONNECT_S, server.timeout_s)),
            headers=server.login.headers(),
            auth=server.login.basic(),
            verify=verify,
            trust_env=False,  # telemetry goes where the configuration says
        )

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """An answer below 400. Raises as `failure` says."""
        try:
            answer = self.client.request(method, path, **arguments)
        except (httpx.HTTPError, OSError) as error:
            raise unreachable(self.server.url, error) from error
        if answer.status_code >= 400:
            raise failure(self.server, answer.status_code, answer.headers, answer.text)
        return answer

    def lines(self, method: str, path: str, **arguments: Any) -> Iterator[Any]:
        """JSON objects of an answer, one per line, as they come."""
        try:
            with self.client.stream(method, path, **arguments) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise failure(self.server, answer.status_code, answer.headers, answer.text)
                for line in _lines(answer.iter_bytes(PIECE)):
                    yield json.loads(line)
        except (httpx.HTTPError, OSError) as error:
            raise unreachable(self.server.url, error) from error
        except ValueError as error:
            text = f"{self.server.url}{path} answered with what is no JSON ({error})"
            raise UnavailableError(f"{text}; see that store.influxdb.url names InfluxDB") from error

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Split at line feeds only: httpx's iter_lines also splits within strings, at U+0085 and its like."""
    held: list[bytes] = []
    for piece in pieces:
        *lines, rest = piece.split(b"\n")
        for line in lines:
            whole = b"".join([*held, line])
            held.clear()
            if whole:
                yield whole
        held.append(rest)
    if whole := b"".join(held):
        yield whole


def unreachable(url: str, error: Exception) -> UnavailableError:
    """No answer at all, or none in time."""
    what = str(error) or type(error).__name__
    kind = SlowError if isinstance(error, httpx.ReadTimeout) else UnavailableError
    return kind(f"{url} does not answer ({what}): start the server or correct store.influxdb.url")


def failure(server: Server, status: int, headers: Mapping[str, str], body: str) -> StoreError:
    """An answer of 400 or more as an error."""
    reason = _reason(body)
    said = f"{server.url} answered {status}: {reason}"
    if status == 413:
        return TooLargeError(said)
    if status in (401, 403):
        return UnavailableError(f"{said}; give it a token or a user that may write and read")
    if status == 404 or "database not found" in reason:
        return UnavailableError(f"{said}; run umbra store init")
    if status in (400, 422):
        return RefusedError(reason)
    if "no space left" in reason:
        # 1.6.7 does so for ever: its write-ahead log keeps the first error (measured).
        return UnavailableError(f"{said}; make room on its disk, and restart it if it goes on so")
    return UnavailableError(f"{said}; it is tried again", _retry_after_s(headers))


def _reason(body: str) -> str:
    text = body.strip()
    try:
        told = json.loads(text)
    except ValueError:
        return text[:500] or "nothing"
    if isinstance(told, dict):
        return str(told.get("error") or told.get("message") or told)[:500]
    return str(told)[:500]


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After") or headers.get("retry-after")
    try:
        return max(0.0, float(text)) if text is not None else None
    except ValueError:  # a date: the controller's own patience will do
        return None
