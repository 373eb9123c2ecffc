"""The API's paths about addresses and shards: take, release, reserve, list; shards, and approving a compaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from controller.model import Address, AddressState
from controller.pool.errors import Full, PoolError, Unavailable, Unknown
from controller.serve import address_schemas as schemas
from controller.serve.answers import answers, described
from controller.serve.control import Addressing, Control
from controller.serve.problems import ApiError
from controller.serve.section import configured

MOST = 10_000


def address_paths(control: Control) -> APIRouter:
    """The paths about addresses."""
    api = APIRouter()

    @api.get(
        "/addresses", responses=described(schemas.AddressList, 404, 409, 422, 503), tags=["read"]
    )
    async def addresses(
        subdivision: Annotated[str | None, Query(description="only this one's")] = None,
        state: Annotated[AddressState | None, Query(description="only in this state")] = None,
        owner: Annotated[str | None, Query(description="only this owner's")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 1000,
        after: Annotated[str | None, Query(description="the page after this address")] = None,
    ) -> Response:
        """Addresses that were ever used, by shard and number."""
        own = _own(control)
        with _answered():
            found = await own.addresses(subdivision, state, owner, limit, after)
        rows = [_row(own, one) for one in found]
        following = found[-1].address if len(found) == limit else None
        return answers({"addresses": rows, "next": following})

    @api.post(
        "/addresses/take",
        responses=described(schemas.Taken, 404, 409, 413, 415, 422, 503),
        tags=["control"],
    )
    async def take(request: schemas.TakeRequest) -> Response:
        """An address for a new instance: a warm one at once, else by ordinary allocation in the same call."""
        with _answered():
            taken = await _own(control).take(
                request.subdivision,
                request.owner,
                profile=request.profile,
                reserved=request.reserved,
                family=request.family,
                host=request.host,
            )
        return answers(asdict(taken))

    @api.post(
        "/addresses/release",
        responses=described(schemas.Released, 404, 409, 413, 415, 422, 503),
        tags=["control"],
    )
    async def release(request: schemas.ReleaseRequest) -> Response:
        """End an instance and its grant; the address cools down."""
        with _answered():
            released = await _own(control).release(request.address, request.owner, request.sequence)
        return answers({"released": released})

    @api.post(
        "/addresses/reserve",
        responses=described(schemas.AddressState, 404, 409, 413, 415, 422, 503),
        tags=["control"],
    )
    async def reserve(request: schemas.ReserveRequest) -> Response:
        """Keep an address for one owner, who takes it with `reserved`, or from everybody. A warm one goes cold."""
        own = _own(control)
        with _answered():
            found = await own.reserve(request.subdivision, request.address, request.owner)
        return answers(_row(own, found))

    @api.post(
        "/addresses/unreserve",
        responses=described(schemas.AddressState, 404, 409, 413, 415, 422, 503),
        tags=["control"],
    )
    async def unreserve(request: schemas.UnreserveRequest) -> Response:
        """Give a reservation up: the address cools down, or stays its owner's until that releases it."""
        own = _own(control)
        with _answered():
            found = await own.unreserve(request.subdivision, request.address)
        return answers(_row(own, found))

    @api.get("/shards", responses=described(schemas.ShardsState, 404, 503), tags=["read"])
    async def shards() -> Response:
        """Shards, warm ranges, demand, and what could be joined."""
        with _answered():
            return answers(await _own(control).shards())

    @api.post(
        "/shards/compact",
        responses=described(list[schemas.MoveState], 404, 409, 413, 415, 422, 503),
        tags=["control"],
    )
    async def compact(request: schemas.CompactRequest) -> Response:
        """Approve a compaction: its moves begin with the next turn."""
        with _answered():
            return answers(list(await _own(control).approve(request.id)))

    return api


def _own(control: Control) -> Addressing:
    return configured(
        control.addressing, "addresses", "manages no addresses", "the section addresses"
    )


def _row(own: Addressing, one: Address) -> dict[str, Any]:
    return {**asdict(one), "state": one.state.value, "host": own.host_of(one.address)}


@contextmanager
def _answered() -> Iterator[None]:
    """What the pool refuses is the API's answer."""
    try:
        yield
    except PoolError as error:
        raise _refused(error) from error


def _refused(error: PoolError) -> ApiError:
    """What the pool says, as "what: remedy"."""
    what, _, remedy = str(error).rpartition(": ")
    kinds: dict[type[PoolError], tuple[int, str, str]] = {
        Unknown: (404, "unknown-address", "No such thing"),
        Full: (409, "addresses-full", "No address left"),
        Unavailable: (503, "addresses-unavailable", "Cannot be served now"),
    }
    status, slug, title = kinds.get(type(error), (409, "address-refused", "Cannot be done"))
    return ApiError(status, slug, title, what or str(error), remedy or "look at umbra address list")
