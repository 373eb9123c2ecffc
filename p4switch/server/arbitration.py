"""Who may write: primary and backups, as the P4Runtime specification 1.3 and later define them.

The primary is the live client whose election id is the highest that the switch has ever seen.
When it goes, there is no primary (NOT_FOUND to all) until a client bids at least that high.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from finsy.proto import U128, p4r, rpc_code, rpc_status

from p4switch.server.status import RpcError

MAX_CLIENTS = 16

Send = Callable[[p4r.StreamMessageResponse], None]


class Client:
    """One open StreamChannel. `send` must not block: it is called under the arbiter's lock."""

    __slots__ = ("election_id", "joined", "send")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.election_id: int | None = None
        self.joined = False


class Arbiter:
    """The clients of one device.

    write_lock is held by every call that changes the switch; a new primary is announced only
    while no write is in progress, so a former primary's writes never land after the change.
    """

    def __init__(self, device_id: int, write_lock: threading.RLock) -> None:
        self._device_id = device_id
        self._write_lock = write_lock
        self._lock = threading.Lock()
        self._clients: list[Client] = []
        self._highest: int | None = None
        self._primary: Client | None = None

    @property
    def primary(self) -> Client | None:
        """The client that may write now and that receives packet-ins, digests and notices."""
        return self._primary

    def update(self, client: Client, message: p4r.MasterArbitrationUpdate) -> None:
        """Join, or change the election id of, a client; RpcError ends its stream."""
        self._check(client, message)
        election_id = U128.decode(message.election_id) if message.HasField("election_id") else None
        with self._write_lock, self._lock:
            if not client.joined and len(self._clients) >= MAX_CLIENTS:
                raise RpcError(
                    rpc_code.RESOURCE_EXHAUSTED,
                    f"Too many connections: at most {MAX_CLIENTS} clients; close one",
                )
            taken = {c.election_id for c in self._clients if c is not client}
            if election_id is not None and election_id in taken:
                # finsy and other clients recognise this text and bid again.
                raise RpcError(
                    rpc_code.INVALID_ARGUMENT,
                    "New election id already exists"
                    if client.joined
                    else "Election id already exists",
                )
            self._place(client, election_id)

    def _check(self, client: Client, message: p4r.MasterArbitrationUpdate) -> None:
        if message.device_id != self._device_id:
            raise RpcError(
                rpc_code.FAILED_PRECONDITION if client.joined else rpc_code.NOT_FOUND,
                f"Invalid device id {message.device_id}: this switch is device {self._device_id}",
            )
        refuse_role(message.role.name or (str(message.role.id) if message.role.id else ""))

    def _place(self, client: Client, election_id: int | None) -> None:
        if not client.joined:
            client.joined = True
            self._clients.append(client)
        client.election_id = election_id
        before = self._primary
        if election_id is not None and (self._highest is None or election_id >= self._highest):
            self._highest = election_id
            self._primary = client
        elif before is client:
            self._primary = None
        if before is self._primary and before is not client:
            self._notify(client)
        else:
            # The backups hear of the change before the new primary does (specification 5.3).
            for other in self._clients:
                if other is not self._primary:
                    self._notify(other)
            if self._primary is not None:
                self._notify(self._primary)

    def leave(self, client: Client) -> None:
        """The stream of this client ended."""
        with self._lock:
            if not client.joined:
                return
            client.joined = False
            self._clients.remove(client)
            if self._primary is client:
                self._primary = None
                for other in self._clients:
                    self._notify(other)

    def check_writer(self, role: str, election_id: p4r.Uint128 | None) -> None:
        """RpcError unless this election id is the primary's.

        Without any client, a call without an election id is accepted, as BMv2 does: it lets
        command-line tools work. Call it with the write lock held.
        """
        refuse_role(role)
        with self._lock:
            if not self._clients and election_id is None:
                return
            primary = self._primary
            if (
                primary is None
                or election_id is None
                or primary.election_id != U128.decode(election_id)
            ):
                raise RpcError(
                    rpc_code.PERMISSION_DENIED,
                    "Not primary: bid with the highest election id on StreamChannel first",
                )

    def _notify(self, client: Client) -> None:
        status = rpc_status.Status()
        if self._primary is None:
            status.code, status.message = rpc_code.NOT_FOUND, "No primary"
        elif client is self._primary:
            status.code, status.message = rpc_code.OK, "Is primary"
        else:
            status.code, status.message = rpc_code.ALREADY_EXISTS, "Is backup"
        update = p4r.MasterArbitrationUpdate(device_id=self._device_id, status=status)
        if self._highest is not None:
            update.election_id.CopyFrom(U128.encode(self._highest))
        client.send(p4r.StreamMessageResponse(arbitration=update))


def refuse_role(role: str) -> None:
    """Roles are not implemented (neither are they by BMv2): RpcError for any but the default."""
    if role:
        raise RpcError(
            rpc_code.UNIMPLEMENTED,
            f"role {role!r}: roles are not implemented; leave the role unset",
        )
