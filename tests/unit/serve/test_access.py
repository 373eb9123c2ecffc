"""Who reaches the API, and who does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from controller.config.addresses import is_loopback
from controller.serve import problems
from controller.serve.access import Access, AccessError, decide, read_token
from controller.serve.gate import MAX_BODY_BYTES, Gate, host_name

TOKEN = "a-token-of-enough-length"
LOOPBACK = decide("127.0.0.1", None)


def echo(access: Access) -> Gate:
    """An application that says how long the body was, behind the gate."""
    app = FastAPI()
    problems.install(app, lambda message: None)

    @app.get("/length")
    async def get() -> dict[str, int]:
        return {"length": 0}

    @app.post("/length")
    async def post(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    return Gate(app, access)


def ask(access: Access, method: str, **more: object) -> httpx.Response:
    """One request through the gate."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=echo(access))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8741") as http:
            return await http.request(method, "/length", **more)  # type: ignore[arg-type]

    return asyncio.run(send())


def token_file(directory: Path, text: str = TOKEN + "\n", mode: int = 0o600) -> Path:
    path = directory / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert decide(host, None).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "controller.example"])
def test_other_machines_are_not_let_in_without_a_token_and_the_error_says_what_to_do(
    host: str,
) -> None:
    assert not is_loopback(host)
    with pytest.raises(AccessError, match=r"api\.host .*127\.0\.0\.1.*api\.token_file"):
        decide(host, None)


def test_other_machines_are_let_in_with_a_token(tmp_path: Path) -> None:
    access = decide("0.0.0.0", token_file(tmp_path))
    assert access.token == TOKEN


@pytest.mark.parametrize(
    ("text", "mode", "complaint"),
    [
        (TOKEN, 0o644, "chmod 600"),
        (TOKEN, 0o640, "chmod 600"),
        ("short", 0o600, "at least 16"),
        ("", 0o600, "at least 16"),
        ("two words in a token line", 0o600, "without spaces"),
    ],
)
def test_a_token_file_that_protects_nothing_is_refused(
    tmp_path: Path, text: str, mode: int, complaint: str
) -> None:
    with pytest.raises(AccessError, match=complaint):
        read_token(token_file(tmp_path, text, mode))


def test_an_absent_token_file_is_named_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=r"gone.*No such file.*umask 077"):
        read_token(tmp_path / "gone")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8741", "localhost:8741", "LOCALHOST", "[::1]:8741"]
)
def test_a_request_to_a_loopback_name_passes(host: str) -> None:
    assert ask(LOOPBACK, "GET", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8741", "127.0.0.1.evil.example", "localhost.evil", ""]
)
def test_a_page_that_rebinds_its_name_to_loopback_is_refused(host: str) -> None:
    answer = ask(LOOPBACK, "GET", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"
    assert "127.0.0.1" in answer.json()["remedy"]


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong-token-of-length", f"Basic {TOKEN}", TOKEN, "Bearer "]
)
def test_without_the_right_token_nothing_is_told(header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = ask(Access(TOKEN, None), "GET", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.text


def test_with_the_right_token_any_name_of_the_machine_will_do() -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "controller.example"}
    assert ask(Access(TOKEN, None), "GET", headers=headers).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_form_on_a_foreign_page_cannot_steer(kind: str) -> None:
    answer = ask(LOOPBACK, "POST", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["remedy"]


def test_a_body_at_the_bound_passes_whole() -> None:
    answer = ask(
        LOOPBACK,
        "POST",
        content=b"x" * MAX_BODY_BYTES,
        headers={"Content-Type": "application/json"},
    )
    assert answer.json() == {"length": MAX_BODY_BYTES}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_bound_is_refused_whether_or_not_its_length_is_announced(
    chunked: bool,
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b"x" * 1024

    content = chunks() if chunked else b"x" * (MAX_BODY_BYTES + 1)
    answer = ask(LOOPBACK, "POST", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert str(MAX_BODY_BYTES) in answer.json()["detail"]


def test_an_unknown_path_is_answered_as_a_problem_with_a_remedy() -> None:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=echo(LOOPBACK))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.get("/nothing/here")

    answer = asyncio.run(send())
    assert answer.status_code == 404
    body = answer.json()
    assert body["type"] == "urn:umbra:not-found"
    assert body["instance"] == "/nothing/here"
    assert "openapi.json" in body["remedy"]


@given(st.text(), st.integers(min_value=0, max_value=65535))
def test_no_port_or_case_turns_a_foreign_host_into_a_loopback_name(name: str, port: int) -> None:
    header = f"{name}.example:{port}"
    assert LOOPBACK.hosts is not None
    assert host_name(header) not in LOOPBACK.hosts


@given(st.text(max_size=300))
def test_any_host_header_is_read_without_an_error(header: str) -> None:
    assert isinstance(host_name(header), str)
