"""The API's paths about shadows: who is whose, and why."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from controller.serve import problems, shadow_schemas
from controller.serve.answers import answers, described
from controller.serve.control import Control


def shadow_paths(control: Control) -> APIRouter:
    """The paths that only look at shadows."""
    api = APIRouter(tags=["read"])

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
