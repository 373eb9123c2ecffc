"""What the API says about addresses and shards."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from controller.serve.schemas import Request

OwnerName = Field(min_length=1, max_length=256, description="who asks; an instance's name")


class TakeRequest(Request):
    """An address for a new instance, and the instance where umbra's agents start them. The same owner again gets the
    same address.
    """

    subdivision: str
    owner: str = OwnerName
    profile: str = Field(default="", description="the instance's application")
    reserved: str | None = Field(default=None, description="this address, which is reserved for it")
    family: Literal[4, 6] | None = None
    host: str | None = Field(default=None, description="preferred host")


class ReleaseRequest(Request):
    """End an instance and its grant."""

    address: str
    owner: str = OwnerName
    sequence: int | None = Field(
        default=None, description="of the grant; a later one is left alone"
    )


class ReserveRequest(Request):
    """Keep an address, whatever is released and asked for, for one owner, or from everybody."""

    subdivision: str
    address: str
    owner: str | None = Field(
        default=None, min_length=1, max_length=256, description="who may take it; null: nobody"
    )


class UnreserveRequest(Request):
    """Give a reservation up."""

    subdivision: str
    address: str


class CompactRequest(Request):
    """Approve a compaction: `id` of GET /shards."""

    id: str


class Taken(BaseModel):
    """What a request got."""

    address: str
    mac: str
    owner: str
    sequence: int
    warm: bool = Field(description="a shadow instance answered for the address")
    shard: str
    subdivision: str
    external: str | None = Field(description="its public address, 1:1")
    host: str | None
    ready_ms: float | None = Field(description="from the request to the instance's listening")
    again: bool = Field(description="the same was granted before")


class Released(BaseModel):
    """`released` is false when that grant was over already."""

    released: bool


class AddressState(BaseModel):
    """One address that was ever used."""

    address: str
    shard: str
    state: Literal["free", "held", "granted", "cooling", "reserved"]
    owner: str | None
    mac: str | None
    sequence: int
    since_s: float
    host: str | None


class AddressList(BaseModel):
    """One page; `next` is the `after` of the next one, null at the end."""

    addresses: list[AddressState]
    next: str | None


class ShardState(BaseModel):
    """One shard that is not free, and how many of its addresses are in which state."""

    prefix: str
    subdivision: str | None
    state: Literal["claiming", "assigned", "prefetched", "draining", "free"]
    sequence: int
    since_s: float
    capacity: int
    granted: int
    held: int
    cooling: int
    reserved: int
    routed: bool = Field(description="routes in the P4 switches lead to it")


class Counts(BaseModel):
    """capacity = free + held + granted + cooling + reserved."""

    capacity: int
    free: int
    held: int
    granted: int
    cooling: int
    reserved: int
    draining: int
    quota: int | None


class WarmState(BaseModel):
    """How many addresses of a family must be warm, at which confidence."""

    family: Literal[4, 6]
    needed: int
    confidence: float


class SubdivisionState(BaseModel):
    """A subdivision: its addresses, what it is expected to need, and when it will be full."""

    name: str
    site: str
    switch: str | None
    prefixes: list[str]
    external: str | None
    max_shards: int
    counts: Counts
    routes: list[str] = Field(description="the fewest prefixes that lead to its shards")
    warm: list[WarmState]
    demand: dict[str, Any] | None = Field(
        description="instances and bandwidth with their intervals, and the demand score"
    )
    expected_per_s: float | None = Field(description="creations that are foreseen")
    expected_why: str | None
    full: str | None = Field(description="when it will be full, for a person")


class MoveState(BaseModel):
    """One move of a compaction: the target is claimed, the source drains."""

    subdivision: str
    source: str
    target: str
    in_use: int
    reason: str


class CompactionState(BaseModel):
    """What could be joined; `id` is empty when there is nothing."""

    id: str
    moves: list[MoveState]
    approved: list[MoveState]
    routes_before: int
    routes_after: int
    fragmentation_after: float


class StepState(BaseModel):
    """Something that the address shadow manager did, and why."""

    time_s: float
    act: str
    subdivision: str
    what: str
    reason: str
    dry_run: bool


class ShardsState(BaseModel):
    """Everything about shards at one moment."""

    turns: int
    turn_ms: float
    shards: list[ShardState]
    subdivisions: list[SubdivisionState]
    fragmentation: float = Field(description="of the free space, 0 to 1")
    compaction: CompactionState
    hosts_down: list[str]
    steps: list[StepState] = Field(description="the newest first")
