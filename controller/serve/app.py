"""The REST API under /api/v1. OpenAPI: /api/v1/openapi.json."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query
from fastapi.responses import Response
from starlette.types import ASGIApp

from controller.model import Kind
from controller.serve import problems, schemas
from controller.serve.access import Access
from controller.serve.addresses import address_paths
from controller.serve.answers import answers, described
from controller.serve.control import Control
from controller.serve.destinations import destination_paths
from controller.serve.gate import Gate
from controller.serve.models import model_paths
from controller.serve.resources import resource_paths
from controller.serve.shadows import shadow_paths

LOG = logging.getLogger("umbra.serve")

PREFIX = "/api/v1"
MAX_DECISIONS = 1000
STALLED_PERIODS = 5


def _known(control: Control, name: str) -> dict[str, Any]:
    """The state of router `name`; ApiError 404 if there is none."""
    routers = control.state()["routers"]
    for router in routers:
        if router["name"] == name:
            return dict(router)
    raise problems.unknown_router(name, [router["name"] for router in routers])


def _reading(control: Control, version: str) -> APIRouter:
    """The paths that only look."""
    api = APIRouter(tags=["read"])

    @api.get("/health", responses=described(schemas.Health))
    async def health() -> Response:
        """Whether the daemon turns and reaches its switches."""
        return answers(_health(control.state(), version))

    @api.get("/state", responses=described(schemas.State))
    async def state() -> Response:
        """Everything at one moment."""
        return answers(control.state())

    @api.get("/nodes", responses=described(list[schemas.NodeState]))
    async def nodes() -> Response:
        """The switches and whether they are connected and reconciled."""
        return answers(control.state()["nodes"])

    @api.get("/routers", responses=described(list[schemas.RouterState]))
    async def routers() -> Response:
        """The service routers: connections, thresholds, shifts, forecasts."""
        return answers(control.state()["routers"])

    @api.get("/routers/{name}", responses=described(schemas.RouterState, 404))
    async def router(name: str) -> Response:
        """One service router."""
        return answers(_known(control, name))

    @api.get("/services", responses=described(list[schemas.ServiceState]))
    async def services() -> Response:
        """The service addresses and each edge's shares."""
        return answers(control.state()["services"])

    @api.get("/forecasts", responses=described(list[schemas.ForecastState]))
    async def forecasts() -> Response:
        """The last forecast of every router that has one."""
        found = [router["forecast"] for router in control.state()["routers"]]
        return answers([forecast for forecast in found if forecast is not None])

    @api.get("/decisions", responses=described(list[schemas.DecisionState], 404, 422))
    async def decisions(
        limit: Annotated[int, Query(ge=1, le=MAX_DECISIONS)] = 50,
        router: Annotated[str | None, Query(description="only this router's")] = None,
        kind: Annotated[Kind | None, Query(description="only of this kind")] = None,
        since_s: Annotated[
            float | None, Query(description="only at or after this Unix time")
        ] = None,
    ) -> Response:
        """What was decided, newest first, with reasons, inputs and outcomes."""
        if router is not None:
            _known(control, router)
        chosen = kind.value if kind is not None else None
        found = control.decisions(limit=limit, router=router, kind=chosen, since_s=since_s)
        return answers(list(found))

    return api


def _steering(control: Control) -> APIRouter:
    """The paths that change what the controller does."""
    api = APIRouter(tags=["control"])

    def outcome() -> Response:
        state = control.state()
        frozen = [router["name"] for router in state["routers"] if router["frozen"]]
        return answers(
            {"frozen": state["frozen"], "frozen_routers": frozen, "dry_run": state["dry_run"]}
        )

    @api.post("/freeze", responses=described(schemas.Steering, 404, 413, 415, 422))
    async def freeze(request: schemas.FreezeRequest) -> Response:
        """Leave the shares of one router, or of all, as they are until unfreeze."""
        if request.router is not None:
            _known(control, request.router)
        control.freeze(request.router)
        return outcome()

    @api.post("/unfreeze", responses=described(schemas.Steering, 404, 413, 415, 422))
    async def unfreeze(request: schemas.FreezeRequest) -> Response:
        """Let the planner change shares again."""
        if request.router is not None:
            _known(control, request.router)
        control.unfreeze(request.router)
        return outcome()

    @api.post(
        "/routers/{name}/weight", responses=described(schemas.RouterState, 404, 413, 415, 422)
    )
    async def weight(name: str, request: schemas.WeightRequest) -> Response:
        """Set a router's shift by hand; null gives it back to the planner."""
        _known(control, name)
        try:
            control.manual_weight(name, request.shift_pct)
        except ValueError as error:
            raise problems.ApiError(
                422,
                "weight-refused",
                "Weight refused",
                str(error),
                "choose a weight within the limits named",
            ) from error
        return answers(_known(control, name))

    def refusing(order: Callable[[str], None], name: str) -> Response:
        _known(control, name)
        try:
            order(name)
        except ValueError as error:
            raise problems.of_text(
                409, "order-refused", "Cannot be done now", str(error)
            ) from error
        return answers(_known(control, name))

    @api.post("/routers/{name}/drain", responses=described(schemas.RouterState, 404, 409, 415))
    async def drain(name: str, request: schemas.OrderRequest) -> Response:
        """Take a router out of service: its connections go on through its shadows."""
        return refusing(control.drain, name)

    @api.post("/routers/{name}/undrain", responses=described(schemas.RouterState, 404, 409, 415))
    async def undrain(name: str, request: schemas.OrderRequest) -> Response:
        """Put a drained router back into service, with its connections."""
        return refusing(control.undrain, name)

    @api.post("/dry-run", responses=described(schemas.Steering, 413, 415, 422))
    async def dry_run(request: schemas.DryRunRequest) -> Response:
        """Decide and record, but write nothing."""
        control.dry_run = request.on
        return outcome()

    return api


def _health(state: Mapping[str, Any], version: str) -> dict[str, Any]:
    nodes = state["nodes"]
    up = sum(1 for node in nodes if node["up"])
    cycle = state["cycle"]
    finished_s = cycle["finished_s"]
    if finished_s is None:
        status = "starting"
    elif state["time_s"] - finished_s > STALLED_PERIODS * cycle["period_s"]:
        status = "stalled"
    else:
        status = "ok" if up == len(nodes) else "degraded"
    return {
        "status": status,
        "version": version,
        "cycle": cycle["number"],
        "nodes_up": up,
        "nodes": len(nodes),
    }


def make_app(control: Control, access: Access, version: str) -> ASGIApp:
    """The API for `control`. Only who passes `access` gets through."""
    app = FastAPI(
        title="umbra",
        version=version,
        summary="A predictive controller for networks of P4 routers",
        openapi_url=f"{PREFIX}/openapi.json",
        # The documentation pages load scripts from elsewhere; the OpenAPI file serves any reader.
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app, lambda message: LOG.exception(message))
    for paths in (
        _reading(control, version),
        shadow_paths(control),
        model_paths(control),
        address_paths(control),
        destination_paths(control),
        resource_paths(control),
        _steering(control),
    ):
        app.include_router(paths, prefix=PREFIX)
    return Gate(app, access)
