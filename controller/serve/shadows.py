"""The API's paths about shadows: who is whose, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from controller.serve import problems, shadow_schemas
from controller.serve.control import Control

Answers = Callable[[Any], Response]
Described = Callable[..., dict[int | str, dict[str, Any]]]


def shadow_paths(
    control: Control, prefix: str, answers: Answers, described: Described
) -> APIRouter:
    """The paths that only look at shadows."""
    api = APIRouter(prefix=prefix, tags=["read"])

    @api.get("/shadows", responses=described(list[shadow_schemas.AssignmentState]))
    async def shadows() -> Response:
        """Every router's shadows, with round trips and failure domains."""
        return answers(list(control.shadows()))

    @api.get("/shadows/{name}", responses=described(shadow_schemas.WhyState, 404))
    async def why(name: str) -> Response:
        """One router's shadows with all candidates: figures, and why each is a shadow or is none."""
        try:
            return answers(control.why_shadows(name))
        except KeyError:
            known = [str(one["router"]) for one in control.shadows()]
            raise problems.unknown_router(name, known) from None

    return api
