"""Digests: samples from the packet path gathered into lists, sent to the primary, acknowledged.

As the P4Runtime specification says: a list goes out when it has max_list_size samples or when its
oldest sample has waited max_timeout_ns (0: at once). A sample is not sent again until its list is
acknowledged or ack_timeout_ns has passed (0: every sample is sent).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from finsy.proto import p4d, p4r

from p4switch.errors import AlreadyExists, InvalidArgument, NotFound
from p4switch.server.codec import encode_bits
from p4switch.server.p4info import DigestSchema, Schema

Sample = tuple[int, ...]
MAX_LIST = 8192
"""A list is sent at this size even when the configured limit is higher, or 0 (none)."""


class DigestState:
    """One configured digest."""

    __slots__ = ("config", "current", "deadline_ns", "known", "list_id", "schema", "sent")

    def __init__(self, schema: DigestSchema, config: p4r.DigestEntry.Config) -> None:
        self.schema = schema
        self.config = config
        self.current: list[Sample] = []
        self.deadline_ns: int | None = None
        self.known: set[Sample] = set()
        self.list_id = 0
        self.sent: dict[int, tuple[int, list[Sample]]] = {}  # list id → (expires_ns, samples)

    def add(self, samples: list[Sample], now_ns: int) -> bool:
        """Take new samples; True when the list must be sent now."""
        if self.config.ack_timeout_ns > 0:
            fresh = []
            for sample in samples:
                if sample not in self.known:
                    self.known.add(sample)
                    fresh.append(sample)
            samples = fresh
        if not samples:
            return False
        if not self.current:
            self.deadline_ns = now_ns + self.config.max_timeout_ns
        self.current.extend(samples)
        limit = min(self.config.max_list_size or MAX_LIST, MAX_LIST)
        return self.config.max_timeout_ns == 0 or len(self.current) >= limit

    def take(self, now_ns: int) -> p4r.DigestList:
        """The list to send now."""
        self.list_id += 1
        message = p4r.DigestList(
            digest_id=self.schema.digest_id, list_id=self.list_id, timestamp=now_ns
        )
        shape = self.schema.shape
        for sample in self.current:
            encode_sample(shape, sample, message.data.add())
        if self.config.ack_timeout_ns > 0:
            self.sent[self.list_id] = (now_ns + self.config.ack_timeout_ns, self.current)
        self.current = []
        self.deadline_ns = None
        return message

    def forget(self, list_id: int) -> None:
        """An acknowledged or expired list: its samples may be reported again."""
        _, samples = self.sent.pop(list_id, (0, []))
        self.known.difference_update(samples)


class Digests:
    """All digests of one pipeline."""

    def __init__(self, send: Callable[[p4r.StreamMessageResponse], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._schema: Schema | None = None
        self._states: dict[int, DigestState] = {}
        self._by_name: dict[str, DigestState] = {}

    def bind(self, schema: Schema) -> None:
        """Give the ids; before this every sample is discarded."""
        self._schema = schema

    def wants(self, name: str) -> bool:
        """Whether a client configured this digest (cheap: asked for every packet that digests)."""
        return name in self._by_name

    def configure(self, kind: int, message: p4r.DigestEntry) -> None:
        """Insert, modify or delete the configuration of one digest."""
        digest_id = message.digest_id
        if self._schema is None or digest_id not in self._schema.digests:
            raise NotFound(f"{digest_id} is not a valid digest id of the running P4Info")
        schema = self._schema.digests[digest_id]
        config = message.config
        if config.max_timeout_ns < 0 or config.max_list_size < 0 or config.ack_timeout_ns < 0:
            raise InvalidArgument(f"digest {schema.name}: a negative limit; use 0 for none")
        with self._lock:
            state = self._states.get(digest_id)
            if kind == p4r.Update.INSERT:
                if state is not None:
                    raise AlreadyExists(f"Digest {schema.name} already configured; use MODIFY")
                state = DigestState(schema, p4r.DigestEntry.Config())
            elif state is None:
                raise NotFound(f"Digest {schema.name} not configured; use INSERT")
            if kind == p4r.Update.DELETE:
                del self._states[digest_id]
                del self._by_name[schema.name]
                return
            state.config.CopyFrom(config)
            self._states[digest_id] = state
            self._by_name[schema.name] = state

    def read(self, digest_id: int) -> list[p4r.DigestEntry]:
        """The configured digest with this id, or all of them for 0; NotFound when it is not."""
        if digest_id and digest_id not in self._states:
            raise NotFound(f"Digest {digest_id} not configured")
        return [
            p4r.DigestEntry(digest_id=i, config=state.config)
            for i, state in list(self._states.items())
            if digest_id in (0, i)
        ]

    def add(self, name: str, samples: list[Sample]) -> None:
        """Samples of one packet."""
        now_ns = time.monotonic_ns()
        with self._lock:
            state = self._by_name.get(name)
            if state is not None and state.add(samples, now_ns):
                self._emit(state, now_ns)

    def tick(self) -> float | None:
        """Send and expire what is due; seconds until something is due next, None when nothing."""
        now_ns = time.monotonic_ns()
        next_ns: list[int] = []
        with self._lock:
            for state in self._states.values():
                if state.deadline_ns is not None and state.deadline_ns <= now_ns:
                    self._emit(state, now_ns)
                due = [i for i, (expires, _) in state.sent.items() if expires <= now_ns]
                for list_id in due:
                    state.forget(list_id)
                if state.deadline_ns is not None:
                    next_ns.append(state.deadline_ns)
                if state.sent:
                    next_ns.append(min(expires for expires, _ in state.sent.values()))
        return max(0.001, (min(next_ns) - now_ns) / 1e9) if next_ns else None

    def ack(self, message: p4r.DigestListAck) -> None:
        """A client has handled a list; unknown and late acknowledgements are ignored."""
        with self._lock:
            state = self._states.get(message.digest_id)
            if state is not None:
                state.forget(message.list_id)

    def unacknowledged(self) -> int:
        """Lists that were sent and neither acknowledged nor expired."""
        with self._lock:
            return sum(len(state.sent) for state in self._states.values())

    def inherit(self, other: Digests) -> None:
        """Take over the configurations of digests that both programs have, by name."""
        assert self._schema is not None
        for state in list(other._states.values()):
            schema = self._schema.digest_of_name.get(state.schema.name)
            if schema is not None:
                entry = p4r.DigestEntry(digest_id=schema.digest_id, config=state.config)
                self.configure(p4r.Update.INSERT, entry)

    def _emit(self, state: DigestState, now_ns: int) -> None:
        self._send(p4r.StreamMessageResponse(digest=state.take(now_ns)))


def encode_sample(shape: str, sample: Sample, out: p4d.P4Data) -> None:
    """One sample as the P4Info packs it."""
    if shape == "struct":
        out.struct.SetInParent()
        for value in sample:
            out.struct.members.add(bitstring=encode_bits(value))
    elif shape == "tuple":
        out.tuple.SetInParent()
        for value in sample:
            out.tuple.members.add(bitstring=encode_bits(value))
    else:
        out.bitstring = encode_bits(sample[0])
