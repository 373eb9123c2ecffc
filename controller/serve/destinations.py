"""The API's paths about destinations: demand, copies, redirects; failing copies; the graph."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import Response

from controller.destinations.errors import UnknownCopy
from controller.graph.files import to_json
from controller.serve import destination_schemas as schemas
from controller.serve.answers import answers, described
from controller.serve.control import Control, Destinations
from controller.serve.problems import ApiError
from controller.serve.section import configured


def destination_paths(control: Control) -> APIRouter:
    """The paths about destinations."""
    api = APIRouter()

    @api.get("/destinations", responses=described(schemas.DestinationsState, 404), tags=["read"])
    async def destinations() -> Response:
        """Demand by location, copies, redirects and what they achieved, and why all of it."""
        return answers(_own(control).state())

    @api.post(
        "/destinations/copies",
        responses=described(schemas.DestinationsState, 404, 413, 415, 422),
        tags=["control"],
    )
    async def copies(request: schemas.CopyRequest) -> Response:
        """Say that a copy fails, or is well again. New connections leave a failing one at once."""
        own = _own(control)
        try:
            own.mark(request.service, request.site, request.failed)
        except UnknownCopy as error:
            raise ApiError(404, "unknown-copy", "No such copy", error.what, error.remedy) from error
        return answers(own.state())

    @api.get("/graph", responses=described(schemas.GraphForm, 404), tags=["read"])
    async def graph() -> Response:
        """Destinations, resources, locations, and links with their costs."""
        # A large graph takes its time, and whoever watches over copies must not wait for it.
        text = await asyncio.to_thread(to_json, _own(control).graph())
        return Response(text, media_type="application/json")

    return api


def _own(control: Control) -> Destinations:
    return configured(
        control.destinations,
        "destinations",
        "makes no copies of services",
        "the section destinations",
    )
