"""ASGI middleware in front of every request: Host header, token, JSON only, bounded size."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.serve.access import Access
from controller.serve.problems import ApiError, response

MAX_BODY_BYTES = 16 * 1024


def host_name(header: str) -> str:
    """The name or address in a Host header, without port and brackets, in lower case."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    name, colon, port = text.rpartition(":")
    return name if colon and port.isdigit() and ":" not in name else text


def _too_large() -> ApiError:
    return ApiError(
        413,
        "request-too-large",
        "Request too large",
        f"the body has more than {MAX_BODY_BYTES} bytes",
        f"send at most {MAX_BODY_BYTES} bytes",
    )


class Gate:
    """Refuses what the API must not even look at."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # Web sockets are not part of this API; closing before accepting refuses them.
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope)
        if refusal is None and scope["method"] in {"POST", "PUT", "PATCH", "DELETE"}:
            chunks, complete = await _read(receive)
            if complete:
                await self._app(scope, _replay(b"".join(chunks), receive), send)
                return
            refusal = _too_large()
        if refusal is not None:
            await response(refusal, scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ApiError | None:
        headers = Headers(scope=scope)
        hosts = self._access.hosts
        host = host_name(headers.get("host", ""))
        if hosts is not None and host not in hosts:
            return ApiError(
                421,
                "wrong-host",
                "Wrong Host header",
                f"this API does not answer as {host!r}",
                "address it as 127.0.0.1 or localhost",
            )
        if self._access.token is not None and not self._token_fits(
            headers.get("authorization", "")
        ):
            return ApiError(
                401,
                "token-needed",
                "Token needed",
                "the request has no valid bearer token",
                "send 'Authorization: Bearer TOKEN' (umbra: --token-file FILE or UMBRA_TOKEN_FILE)",
            )
        if scope["method"] == "POST":
            return _post_refusal(headers)
        return None

    def _token_fits(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        expected = self._access.token or ""
        same = hmac.compare_digest(token.strip().encode(), expected.encode())
        return scheme.lower() == "bearer" and same


def _post_refusal(headers: Headers) -> ApiError | None:
    # A form on a foreign page can POST text or form data without a preflight, but not JSON.
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return ApiError(
            415,
            "json-only",
            "JSON only",
            f"content type {kind or 'none'!r}",
            "send 'Content-Type: application/json' with a JSON body ({} where nothing is needed)",
        )
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        return _too_large()
    return None


async def _read(receive: Receive) -> tuple[list[bytes], bool]:
    """The body's chunks, and whether it ended within the bound (chunked: no length is sent)."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return chunks, True  # the client went away; the application sees an empty rest
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            return chunks, False
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks, True


def _replay(data: bytes, receive: Receive) -> Receive:
    """A receive channel that gives `data` once and then what really comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": data, "more_body": False}

    return again
