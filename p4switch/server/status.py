"""Errors as P4Runtime sends them: a canonical code, and one p4.v1.Error per update of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from finsy.proto import p4r, rpc_code, rpc_status

from p4switch import errors

SPACE = "ALL-sswitch-p4org"
"""The error space that BMv2 names in p4.v1.Error.space."""

MAX_DETAILS_BYTES = 56 * 1024
"""Clients take at most 64 KiB of trailing metadata; above that they lose the whole status."""

_CODES: dict[type[errors.SwitchError], int] = {
    errors.Unsupported: rpc_code.UNIMPLEMENTED,
    errors.AlreadyExists: rpc_code.ALREADY_EXISTS,
    errors.NotFound: rpc_code.NOT_FOUND,
    errors.InvalidArgument: rpc_code.INVALID_ARGUMENT,
    errors.ResourceExhausted: rpc_code.RESOURCE_EXHAUSTED,
    errors.PermissionDenied: rpc_code.PERMISSION_DENIED,
    errors.FailedPrecondition: rpc_code.FAILED_PRECONDITION,
}

GRPC_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class RpcError(Exception):
    """Ends a call with `code` (google.rpc.Code) and a message naming the thing and the remedy."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def code_of(error: Exception) -> int:
    """The canonical code (google.rpc.Code) of an error that the switch raised on purpose."""
    if isinstance(error, RpcError):
        return error.code
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    return rpc_code.INTERNAL


def update_error(error: Exception) -> p4r.Error:
    """What went wrong with one update of a batch."""
    return p4r.Error(canonical_code=code_of(error), message=str(error), space=SPACE)


def batch_status(results: Sequence[p4r.Error | None]) -> rpc_status.Status | None:
    """The status of a batch (None = every update succeeded): UNKNOWN with one detail per update.

    A status too large for a client to receive goes without details and says in its message how
    many updates failed and how the first one did.
    """
    failed = [(i, error) for i, error in enumerate(results) if error is not None]
    if not failed:
        return None
    status = rpc_status.Status(code=rpc_code.UNKNOWN)
    success = p4r.Error()
    for result in results:
        status.details.add().Pack(success if result is None else result)
    if status.ByteSize() > MAX_DETAILS_BYTES:
        first, error = failed[0]
        del status.details[:]
        status.message = (
            f"{len(failed)} of {len(results)} updates failed, the first is update {first}: "
            f"{error.message}; send at most 500 updates per batch to get the details of each"
        )
    return status


def abort(context: grpc.ServicerContext, status: rpc_status.Status) -> None:
    """End the call with a google.rpc.Status, details included. Always raises."""
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(GRPC_CODES[status.code], status.message)


def abort_with(context: grpc.ServicerContext, error: Exception) -> None:
    """End the call with the code and message of `error`. Always raises."""
    abort(context, rpc_status.Status(code=code_of(error), message=str(error)))
