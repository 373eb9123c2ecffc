"""The REST API under /api/v1. OpenAPI: /api/v1/openapi.json."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query
from fastapi.responses import Response
from starlette.types import ASGIApp

from controller.model import Kind
from controller.serve import problems, schemas
from controller.serve.access import Access
from controller.serve.addresses import address_paths
from controller.serve.control import Control
from controller.serve.destinations import destination_paths
from controller.serve.gate import Gate
from controller.serve.models import model_paths
from controller.serve.problems import Problem
from controller.serve.resources import resource_paths
from controller.serve.shadows import shadow_paths

LOG = logging.getLogger("umbra.serve")

PREFIX = "/api/v1"
MAX_DECISIONS = 1000
STALLED_PERIODS = 5
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


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _described(model: Any, *errors: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI answers of one path: the model on success, problems otherwise."""
    documented: dict[int | str, dict[str, Any]] = {200: {"model": model}}
    return documented | {code: _ERRORS[code] for code in (401, 421, *errors)}


def _known(control: Control, name: str) -> dict[str, Any]:
    """The state of router `name`; ApiError 404 if there is none."""
    routers = control.state()["routers"]
    for router in routers:
        if router["name"] == name:
            return dict(router)
    raise problems.unknown_router(name, [router["name"] for router in routers])


def _reading(control: Control, version: str) -> APIRouter:
    """The paths that only look."""
    api = APIRouter(prefix=PREFIX, tags=["read"])

    @api.get("/health", responses=_described(schemas.Health))
    async def health() -> Response:
        """Whether the daemon turns and reaches its switches."""
        return answers(_health(control.state(), version))

    @api.get("/state", responses=_described(schemas.State))
    async def state() -> Response:
        """Everything at one moment."""
        return answers(control.state())

    @api.get("/nodes", responses=_described(list[schemas.NodeState]))
    async def nodes() -> Response:
        """The switches and whether they are connected and reconciled."""
        return answers(control.state()["nodes"])

    @api.get("/routers", responses=_described(list[schemas.RouterState]))
    async def routers() -> Response:
        """The service routers: connections, thresholds, shifts, forecasts."""
        return answers(control.state()["routers"])

    @api.get("/routers/{name}", responses=_described(schemas.RouterState, 404))
    async def router(name: str) -> Response:
        """One service router."""
        return answers(_known(control, name))

    @api.get("/services", responses=_described(list[schemas.ServiceState]))
    async def services() -> Response:
        """The service addresses and each edge's shares."""
        return answers(control.state()["services"])

    @api.get("/forecasts", responses=_described(list[schemas.ForecastState]))
    async def forecasts() -> Response:
        """The last forecast of every router that has one."""
        found = [router["forecast"] for router in control.state()["routers"]]
        return answers([forecast for forecast in found if forecast is not None])

    @api.get("/decisions", responses=_described(list[schemas.DecisionState], 404, 422))
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
    api = APIRouter(prefix=PREFIX, tags=["control"])

    def outcome() -> Response:
        state = control.state()
        frozen = [router["name"] for router in state["routers"] if router["frozen"]]
        return answers(
            {"frozen": state["frozen"], "frozen_routers": frozen, "dry_run": state["dry_run"]}
        )

    @api.post("/freeze", responses=_described(schemas.Steering, 404, 413, 415, 422))
    async def freeze(request: schemas.FreezeRequest) -> Response:
        """Leave the shares of one router, or of all, as they are until unfreeze."""
        if request.router is not None:
            _known(control, request.router)
        control.freeze(request.router)
        return outcome()

    @api.post("/unfreeze", responses=_described(schemas.Steering, 404, 413, 415, 422))
    async def unfreeze(request: schemas.FreezeRequest) -> Response:
        """Let the planner change shares again."""
        if request.router is not None:
            _known(control, request.router)
        control.unfreeze(request.router)
        return outcome()

    @api.post(
        "/routers/{name}/weight", responses=_described(schemas.RouterState, 404, 413, 415, 422)
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
            what, _, remedy = str(error).partition("; ")
            raise problems.ApiError(
                409, "order-refused", "Cannot be done now", what, remedy
            ) from error
        return answers(_known(control, name))

    @api.post("/routers/{name}/drain", responses=_described(schemas.RouterState, 404, 409, 415))
    async def drain(name: str, request: schemas.OrderRequest) -> Response:
        """Take a router out of service: its connections go on through its shadows."""
        return refusing(control.drain, name)

    @api.post("/routers/{name}/undrain", responses=_described(schemas.RouterState, 404, 409, 415))
    async def undrain(name: str, request: schemas.OrderRequest) -> Response:
        """Put a drained router back into service, with its connections."""
        return refusing(control.undrain, name)

    @api.post("/dry-run", responses=_described(schemas.Steering, 413, 415, 422))
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
    app.include_router(_reading(control, version))
    app.include_router(shadow_paths(control, PREFIX, answers, _described))
    app.include_router(model_paths(control, PREFIX, answers, _described))
    app.include_router(address_paths(control, PREFIX, answers, _described))
    app.include_router(destination_paths(control, PREFIX, answers, _described))
    app.include_router(resource_paths(control, PREFIX, answers, _described))
    app.include_router(_steering(control))
    return Gate(app, access)
