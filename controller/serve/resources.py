"""The API's paths about devices' resources, and about comparisons (A/B)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from controller.ab.comparisons import ComparisonRefused
from controller.serve import resource_schemas as schemas
from controller.serve.answers import answers, described
from controller.serve.control import Control, Resources
from controller.serve.problems import ApiError, of_text
from controller.serve.section import configured

MOST = 500


def resource_paths(control: Control) -> APIRouter:
    """The paths about resources and comparisons."""
    api = APIRouter()

    @api.get("/resources", responses=described(schemas.ResourcesState, 404), tags=["read"])
    async def resources() -> Response:
        """Devices, what they use and are predicted to use, their shadows, and the pre-warming queue."""
        return answers(_own(control).state())

    @api.get(
        "/resources/decisions",
        responses=described(list[schemas.ResourceDecision], 404, 422),
        tags=["read"],
    )
    async def decisions(
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        device: Annotated[str | None, Query(description="only of this device")] = None,
    ) -> Response:
        """What was decided, newest first, with reasons, inputs and regret."""
        try:
            return answers(_own(control).decisions(limit, device))
        except KeyError as error:
            raise of_text(404, "unknown-device", "No such device", error.args[0]) from error

    @api.get("/ab", responses=described(schemas.ComparisonsState), tags=["read"])
    async def comparisons() -> Response:
        """Comparisons of variants with primaries."""
        return answers(control.ab.state())

    @api.post(
        "/ab/start",
        responses=described(schemas.ComparisonState, 409, 413, 415, 422),
        tags=["control"],
    )
    async def start(request: schemas.StartRequest) -> Response:
        """Give a variant a share of a primary's new connections, and compare both."""
        try:
            return answers(
                control.ab.start(
                    request.primary,
                    request.variant,
                    shares_pct=None if request.shares_pct is None else tuple(request.shares_pct),
                    better_on=request.better_on,
                    longest_s=request.longest_s,
                )
            )
        except ComparisonRefused as error:
            raise _refused(error) from error

    @api.post(
        "/ab/stop",
        responses=described(schemas.ComparisonState, 409, 413, 415, 422),
        tags=["control"],
    )
    async def stop(request: schemas.StopRequest) -> Response:
        """End a comparison; the variant's new connections go back to the primary."""
        try:
            return answers(await control.ab.stop(request.primary))
        except ComparisonRefused as error:
            raise _refused(error) from error

    return api


def _own(control: Control) -> Resources:
    return configured(
        control.resources, "resources", "manages no resources of devices", "resources.devices"
    )


def _refused(error: ComparisonRefused) -> ApiError:
    return of_text(409, "comparison-refused", "Cannot be done now", str(error))
