"""Error bodies: application/problem+json (RFC 9457) that name the thing and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What every error answer looks like."""

    type: str = Field(
        description="stable name of the error, a URN", examples=["urn:umbra:unknown-router"]
    )
    title: str = Field(description="the same for every error of this type")
    status: int
    detail: str = Field(description="what went wrong this time, naming the thing")
    remedy: str = Field(description="what to do about it")
    instance: str = Field(description="the path that was asked for")


class ApiError(Exception):
    """An error to be answered as a problem. `slug` is the last part of its URN."""

    def __init__(self, status: int, slug: str, title: str, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.remedy = remedy


def body(error: ApiError, path: str) -> dict[str, Any]:
    """The JSON body of `error`."""
    return Problem(
        type=f"urn:umbra:{error.slug}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        remedy=error.remedy,
        instance=path,
    ).model_dump()


def response(error: ApiError, path: str) -> JSONResponse:
    """The HTTP answer for `error`."""
    headers = {"WWW-Authenticate": 'Bearer realm="umbra"'} if error.status == 401 else None
    return JSONResponse(
        body(error, path), status_code=error.status, headers=headers, media_type=MEDIA_TYPE
    )


def unknown_router(name: str, known: list[str]) -> ApiError:
    """404 for a router that the configuration does not have."""
    listed = ", ".join(known) if known else "none"
    return ApiError(
        404,
        "unknown-router",
        "No such router",
        f"router {name!r} is not in the configuration",
        f"use one of: {listed}",
    )


def of_text(status: int, slug: str, title: str, text: str, remedy: str = "") -> ApiError:
    """The problem that `text` tells of as "what; remedy". remedy: when it names none."""
    detail, _, told = text.partition("; ")
    return ApiError(status, slug, title, detail, told or remedy)


def _of_http(error: HTTPException, request: Request) -> ApiError:
    remedies = {
        400: ("invalid-request", "Request does not fit", "send one JSON object as the body"),
        404: ("not-found", "No such resource", "see /api/v1/openapi.json for the paths"),
        405: (
            "wrong-method",
            "Wrong method",
            "see /api/v1/openapi.json for the methods of this path",
        ),
    }
    slug, title, remedy = remedies.get(
        error.status_code, ("http-error", "Request failed", "see /api/v1/openapi.json")
    )
    path = request.url.path
    detail = f"{request.method} {path}: {error.detail}"
    return ApiError(error.status_code, slug, title, detail, remedy)


def _of_validation(error: RequestValidationError) -> ApiError:
    parts = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])
        parts.append(f"{place}: {item['msg']}")
    return ApiError(
        422,
        "invalid-request",
        "Request does not fit",
        "; ".join(parts),
        "correct the fields named; /api/v1/openapi.json has their types and ranges",
    )


def install(app: FastAPI, log_exception: Callable[[str], None]) -> None:
    """Make `app` answer every error as a problem; unexpected ones go to `log_exception`."""

    async def on_api(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError)
        return response(error, request.url.path)

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return response(_of_http(error, request), request.url.path)

    async def on_validation(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return response(_of_validation(error), request.url.path)

    async def on_other(request: Request, error: Exception) -> JSONResponse:
        log_exception(f"{request.method} {request.url.path} failed")
        problem = ApiError(
            500,
            "internal-error",
            "Internal error",
            f"{request.method} {request.url.path} failed: {type(error).__name__}",
            "the daemon's log has the backtrace; the daemon itself goes on",
        )
        return response(problem, request.url.path)

    app.add_exception_handler(ApiError, on_api)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(Exception, on_other)
