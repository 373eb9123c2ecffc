"""What answers at the URL is told by /ping; what is no InfluxDB is named, whatever it answers at /query."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from controller.store.detect import detect
from controller.store.influx_http import Server
from controller.store.interface import UnavailableError


@contextmanager
def serving(status: int, headers: dict[str, str]) -> Iterator[tuple[Server, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}"), asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("said", "major"),
    [("1.6.7~rc0", 1), ("1.8.10", 1), ("v2.7.12", 2), ("3.0.0", 3), ("v3.5.1", 3)],
)
def test_the_version_header_tells(said: str, major: int) -> None:
    with serving(204, {"X-Influxdb-Version": said, "X-Influxdb-Build": "OSS"}) as (server, asked):
        found = detect(server)
    assert (found.major, found.version, found.build) == (major, said, "OSS")
    assert asked == ["/ping"]


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (204, {}, "no X-Influxdb-Version header"),
        (204, {"X-Influxdb-Version": "unknown"}, "'unknown'"),
        (204, {"X-Influxdb-Version": "4.0.0"}, "'4.0.0'"),
        (404, {}, "no X-Influxdb-Version header"),
        (503, {}, "answered 503"),
    ],
)
def test_what_is_no_influxdb_is_named(status: int, headers: dict[str, str], said: str) -> None:
    with serving(status, headers) as (server, _), pytest.raises(UnavailableError, match=said):
        detect(server)


def test_nobody_there_is_told_with_the_remedy() -> None:
    with serving(204, {}) as (server, _):
        pass
    with pytest.raises(UnavailableError, match=r"start the server or correct store\.influxdb\.url"):
        detect(server)


def test_secrets_are_not_shown() -> None:
    from controller.store.influx_http import Login

    assert "s3cret" not in repr(Server("http://x", login=Login("s3cret", "me", "s3cret")))
