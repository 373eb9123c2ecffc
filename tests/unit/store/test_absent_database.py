"""Of what a server says is "not found", only the database itself counts as one that holds nothing yet."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from controller.store.influx1 import Influx1Adapter
from controller.store.influx_http import Server
from controller.store.interface import Query, UnavailableError


@contextmanager
def failing(said: Callable[[str, str], str]) -> Iterator[Influx1Adapter]:
    """Every statement fails with what is said of its database and its text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            error = said(asked["db"][0], asked["q"][0])
            body = json.dumps({"results": [{"statement_id": 0, "error": error}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with Influx1Adapter(Server(f"http://127.0.0.1:{server.server_port}"), "1.8.10") as adapter:
            yield adapter
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_database_that_is_not_there_holds_nothing() -> None:
    with failing(lambda database, _: f"database not found: {database}") as store:
        assert store.query(Query("samples")) == []
        assert store.listing() == []


def test_a_bucket_that_has_no_mapping_is_listed_as_nothing() -> None:
    def as_2_x_says(database: str, statement: str) -> str:
        if statement == "SHOW TAG KEYS":
            return f"default retention policy not set for: {database}"
        return f"database not found: {database}"

    with failing(as_2_x_says) as store:
        assert store.listing() == []


@pytest.mark.parametrize(
    "said",
    [
        "retention policy not found: autogen",
        "shard not found",
        "database not found: umbra_long",  # another than the one that was asked for
        "error reading: file not found",
    ],
)
def test_whatever_else_is_not_found_is_told(said: str) -> None:
    with failing(lambda *_: said) as store, pytest.raises(UnavailableError, match=said):
        store.query(Query("samples"))
