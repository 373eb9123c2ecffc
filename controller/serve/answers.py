"""What the API answers with: values as JSON, and how OpenAPI describes the answers of a path."""

from __future__ import annotations

import json
import math
from typing import Any

from fastapi.responses import Response

from controller.serve.problems import Problem

_ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in {
        401: "no valid bearer token",
        404: "no such thing",
        409: "cannot be done now",
        413: "request too large",
        415: "not JSON",
        421: "wrong Host header",
        422: "request does not fit",
        503: "cannot be served now",
    }.items()
}


def answers(value: Any) -> Response:
    """`value` as JSON. Not-a-number has no place in JSON and becomes null."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))
    return Response(text, media_type="application/json")


def described(model: Any, *errors: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI answers of one path: the model on success, problems otherwise."""
    documented: dict[int | str, dict[str, Any]] = {200: {"model": model}}
    return documented | {code: _ERRORS[code] for code in (401, 421, *errors)}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
