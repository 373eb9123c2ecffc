"""A small synchronous P4Runtime client on the bare stubs, and names of the test program's objects."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from finsy.proto import U128, p4i, p4r, p4r_grpc, rpc_status
from google.protobuf import text_format

PROGRAMS = Path(__file__).parent / "programs"
DEVICE_CONFIG = (PROGRAMS / "server.json").read_bytes()
P4INFO = text_format.Parse((PROGRAMS / "server.p4info.txtpb").read_text(), p4i.P4Info())
CPU_PORT = 510
TIMEOUT_S = 10.0

_OBJECTS = (
    P4INFO.tables,
    P4INFO.actions,
    P4INFO.action_profiles,
    P4INFO.counters,
    P4INFO.meters,
    P4INFO.registers,
    P4INFO.digests,
)
IDS: dict[str, int] = {o.preamble.name: o.preamble.id for objects in _OBJECTS for o in objects}


def config(cookie: int = 7) -> p4r.ForwardingPipelineConfig:
    """The test program."""
    message = p4r.ForwardingPipelineConfig(p4info=P4INFO, p4_device_config=DEVICE_CONFIG)
    message.cookie.cookie = cookie
    return message


def action(name: str, *args: int) -> p4r.Action:
    """An action with its parameters in order."""
    message = p4r.Action(action_id=IDS[name])
    for number, value in enumerate(args, 1):
        message.params.add(param_id=number, value=octets(value))
    return message


def octets(value: int) -> bytes:
    """The canonical byte string."""
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def l2_entry(mac: int, port: int = 3) -> p4r.TableEntry:
    """mac → l2_forward(port)."""
    entry = p4r.TableEntry(table_id=IDS["I.l2"])
    entry.match.add(field_id=1).exact.value = octets(mac)
    entry.action.action.CopyFrom(action("I.l2_forward", port))
    return entry


def update(kind: str, entity: p4r.Entity | p4r.TableEntry) -> p4r.Update:
    """kind is INSERT, MODIFY or DELETE."""
    if isinstance(entity, p4r.TableEntry):
        entity = p4r.Entity(table_entry=entity)
    return p4r.Update(type=p4r.Update.Type.Value(kind), entity=entity)


def details(error: grpc.RpcError) -> list[p4r.Error]:
    """The per-update errors that a failed Write carries."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            status = rpc_status.Status.FromString(value)
            errors = []
            for any_ in status.details:
                item = p4r.Error()
                assert any_.Unpack(item)
                errors.append(item)
            return errors
    return []


class Client:
    """One controller. With an election id it opens a session on entering."""

    def __init__(
        self,
        address: str,
        election_id: int | None = 1,
        *,
        device_id: int = 1,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.device_id = device_id
        self.election_id = election_id
        if credentials is None:
            self._channel = grpc.insecure_channel(address)
        else:
            self._channel = grpc.secure_channel(address, credentials)
        self.stub = p4r_grpc.P4RuntimeStub(self._channel)
        self._requests: queue.SimpleQueue[p4r.StreamMessageRequest | None] = queue.SimpleQueue()
        self._responses: Iterator[p4r.StreamMessageResponse] | None = None

    def __enter__(self) -> Client:
        if self.election_id is not None:
            self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Open the session and bid."""
        self._responses = self.stub.StreamChannel(iter(self._requests.get, None), timeout=30)
        self.bid(self.election_id)

    def close(self) -> None:
        """End the session and the connection."""
        self._requests.put(None)
        self._channel.close()

    def bid(self, election_id: int | None, *, device_id: int | None = None, role: str = "") -> None:
        """Send an arbitration update."""
        self.election_id = election_id
        request = p4r.StreamMessageRequest()
        request.arbitration.device_id = self.device_id if device_id is None else device_id
        if election_id is not None:
            request.arbitration.election_id.CopyFrom(U128.encode(election_id))
        if role:
            request.arbitration.role.name = role
        self.send(request)

    def send(self, request: p4r.StreamMessageRequest) -> None:
        """Send on the session."""
        self._requests.put(request)

    def receive(self) -> p4r.StreamMessageResponse:
        """The next message of the session."""
        assert self._responses is not None
        return next(self._responses)

    def notice(self) -> tuple[int, int]:
        """The next message, an arbitration notice: (status code, election id of the primary)."""
        message = self.receive()
        assert message.WhichOneof("update") == "arbitration", message
        notice = message.arbitration
        return notice.status.code, U128.decode(notice.election_id)

    def push(
        self,
        message: p4r.ForwardingPipelineConfig | None = None,
        how: str = "VERIFY_AND_COMMIT",
        *,
        has_config: bool = True,
    ) -> None:
        """SetForwardingPipelineConfig."""
        request = p4r.SetForwardingPipelineConfigRequest(device_id=self.device_id)
        request.action = p4r.SetForwardingPipelineConfigRequest.Action.Value(how)
        if has_config:
            request.config.CopyFrom(config() if message is None else message)
        if self.election_id is not None:
            request.election_id.CopyFrom(U128.encode(self.election_id))
        self.stub.SetForwardingPipelineConfig(request, timeout=TIMEOUT_S)

    def write(self, *updates: p4r.Update, atomicity: int = 0) -> None:
        """Write one batch."""
        request = p4r.WriteRequest(device_id=self.device_id, updates=updates)
        request.atomicity = atomicity
        if self.election_id is not None:
            request.election_id.CopyFrom(U128.encode(self.election_id))
        self.stub.Write(request, timeout=TIMEOUT_S)

    def read(self, *entities: p4r.Entity) -> list[p4r.Entity]:
        """Read what the entities name."""
        request = p4r.ReadRequest(device_id=self.device_id, entities=entities)
        return [e for r in self.stub.Read(request, timeout=TIMEOUT_S) for e in r.entities]

    def read_table(self, entry: p4r.TableEntry) -> list[p4r.TableEntry]:
        """Read table entries."""
        return [e.table_entry for e in self.read(p4r.Entity(table_entry=entry))]


def codes(client: Client, *updates: p4r.Update) -> list[int]:
    """The code of each update of a batch that has at least one failure."""
    with pytest.raises(grpc.RpcError) as failure:
        client.write(*updates)
    assert failure.value.code() == grpc.StatusCode.UNKNOWN
    errors = details(failure.value)
    assert len(errors) == len(updates)
    assert all(e.space == "ALL-sswitch-p4org" for e in errors if e.canonical_code)
    return [e.canonical_code for e in errors]


def reason(client: Client, one: p4r.Update) -> tuple[int, str]:
    """Code and message of a batch of one."""
    with pytest.raises(grpc.RpcError) as failure:
        client.write(one)
    error = details(failure.value)[0]
    return error.canonical_code, error.message


def balance_entry(*slots: tuple[int, int]) -> p4r.TableEntry:
    """Slots of (port, weight) for protocol 6."""
    entry = p4r.TableEntry(table_id=IDS["I.balance"])
    entry.match.add(field_id=1).exact.value = b"\x06"
    for port, weight in slots:
        slot = entry.action.action_profile_action_set.action_profile_actions.add(weight=weight)
        slot.action.CopyFrom(action("I.forward", port))
    return entry


def route_entry() -> p4r.TableEntry:
    entry = p4r.TableEntry(table_id=IDS["I.routes"])
    lpm = entry.match.add(field_id=1).lpm
    lpm.value, lpm.prefix_len = bytes([10, 0, 0, 0]), 8
    entry.action.action.CopyFrom(action("I.route", 0xAABBCCDDEEFF, 3))
    return entry


def with_action(entry: p4r.TableEntry, name: str, *args: int) -> p4r.TableEntry:
    copy = changed(entry)
    copy.action.action.CopyFrom(action(name, *args))
    return copy


def changed(entry: p4r.TableEntry, **fields: object) -> p4r.TableEntry:
    copy = p4r.TableEntry()
    copy.CopyFrom(entry)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy
