"""The server that answers for the daemon."""

from __future__ import annotations

import asyncio
import signal
import socket

import httpx
import pytest
from fastapi import FastAPI

from controller.serve.server import ApiServer, ServeError


def hello() -> FastAPI:
    app = FastAPI()

    @app.get("/hello")
    async def get() -> dict[str, str]:
        return {"hello": "world"}

    return app


def test_it_answers_on_the_port_that_the_system_chose_and_then_stops_listening() -> None:
    async def main() -> tuple[int, str]:
        server = ApiServer(hello(), "127.0.0.1", 0)
        await server.start()
        url = server.url
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{url}/hello")
        await server.stop()
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(trust_env=False) as http:
                await http.get(f"{url}/hello")
        return answer.status_code, url

    status, url = asyncio.run(main())
    assert status == 200
    assert not url.endswith(":0")


def test_a_taken_port_is_named_with_a_remedy() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        server = ApiServer(hello(), "127.0.0.1", port)
        with pytest.raises(ServeError, match=rf"127\.0\.0\.1:{port}: .*in use.*api\.port"):
            asyncio.run(server.start())


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(ServeError, match=r"192\.0\.2\.1"):
        asyncio.run(ApiServer(hello(), "192.0.2.1", 0).start())


def test_the_daemons_signal_handlers_stay_the_daemons() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    async def main() -> tuple[list[object], list[object]]:
        server = ApiServer(hello(), "127.0.0.1", 0)
        before = handlers()
        await server.start()
        during = handlers()
        await server.stop()
        return before, during

    before, during = asyncio.run(main())
    assert during == before


def test_stopping_a_server_that_never_started_is_no_error() -> None:
    asyncio.run(ApiServer(hello(), "127.0.0.1", 0).stop())
