"""Why the pool did not do what was asked. Every message names the thing and the remedy."""

from __future__ import annotations


class PoolError(RuntimeError):
    """Anything that the pool reports. Nothing of the request was done."""


class Unknown(PoolError):
    """There is no such subdivision, shard or address."""


class Refused(PoolError):
    """The request contradicts the pool's state: another owner, an old sequence number, an overlap."""


class Full(PoolError):
    """No address, or no room in a quota or a subdivision, for this request."""


class Unavailable(PoolError):
    """The file cannot be used now: held by another process, a full or broken disk."""
