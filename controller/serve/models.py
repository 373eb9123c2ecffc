"""The API's paths about forecasting models: what there is, promote, roll back."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from controller.serve import model_schemas, schemas
from controller.serve.answers import answers, described
from controller.serve.control import Control, ModelRefused
from controller.serve.problems import ApiError, of_text


def model_paths(control: Control) -> APIRouter:
    """The paths about models."""
    api = APIRouter()

    @api.get("/models", responses=described(model_schemas.ModelsState), tags=["read"])
    async def models() -> Response:
        """Every kept version, who serves, who predicts in the dark, and how they compare."""
        return answers(await control.models())

    @api.post(
        "/models/promote",
        responses=described(model_schemas.ModelsState, 409, 413, 415, 422),
        tags=["control"],
    )
    async def promote(request: model_schemas.PromoteRequest) -> Response:
        """Put a version into service now, whatever the comparison says."""
        try:
            await control.promote_model(request.version)
        except ModelRefused as error:
            raise _refused(error) from error
        return answers(await control.models())

    @api.post(
        "/models/rollback",
        responses=described(model_schemas.ModelsState, 409, 415),
        tags=["control"],
    )
    async def rollback(request: schemas.OrderRequest) -> Response:
        """Put the champion before into service again."""
        try:
            await control.roll_back_model()
        except ModelRefused as error:
            raise _refused(error) from error
        return answers(await control.models())

    return api


def _refused(error: ModelRefused) -> ApiError:
    return of_text(409, "model-refused", "Model refused", str(error), "umbra models lists all")
