"""The packet replication engine: multicast groups and clone sessions."""

from __future__ import annotations

from dataclasses import dataclass

from p4switch.errors import AlreadyExists, InvalidArgument, NotFound


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy: egress port and instance (egress_rid)."""

    port: int
    instance: int = 0


@dataclass(frozen=True, slots=True)
class CloneSession:
    """Where clones of one session go. packet_length_bytes 0 means no truncation."""

    replicas: tuple[Replica, ...]
    class_of_service: int = 0
    packet_length_bytes: int = 0


class Replication:
    """Multicast groups and clone sessions by id. Mutations are single dict assignments."""

    def __init__(self) -> None:
        self.multicast: dict[int, tuple[Replica, ...]] = {}
        self.multicast_metadata: dict[int, bytes] = {}  # what a client noted with a group
        self.clones: dict[int, CloneSession] = {}

    def insert_multicast(
        self, group_id: int, replicas: tuple[Replica, ...], metadata: bytes = b""
    ) -> None:
        """Add a group; id 0 means "no multicast" in v1model and is refused."""
        if group_id <= 0 or group_id > 0xFFFF:
            raise InvalidArgument(f"multicast group id {group_id} is not in 1..65535")
        if group_id in self.multicast:
            raise AlreadyExists(f"multicast group {group_id} exists")
        self.multicast[group_id] = _distinct(f"multicast group {group_id}", replicas)
        self.multicast_metadata[group_id] = metadata

    def modify_multicast(
        self, group_id: int, replicas: tuple[Replica, ...], metadata: bytes = b""
    ) -> None:
        """Replace the replicas and metadata of a group."""
        self.get_multicast(group_id)
        self.multicast[group_id] = _distinct(f"multicast group {group_id}", replicas)
        self.multicast_metadata[group_id] = metadata

    def delete_multicast(self, group_id: int) -> None:
        """Remove a group."""
        self.get_multicast(group_id)
        del self.multicast[group_id]
        del self.multicast_metadata[group_id]

    def get_multicast(self, group_id: int) -> tuple[Replica, ...]:
        """The replicas of a group."""
        try:
            return self.multicast[group_id]
        except KeyError:
            raise NotFound(f"no multicast group {group_id}") from None

    def insert_clone(self, session_id: int, session: CloneSession) -> None:
        """Add a clone session."""
        if session_id <= 0:
            raise InvalidArgument(f"clone session id {session_id} is not positive")
        if session_id in self.clones:
            raise AlreadyExists(f"clone session {session_id} exists")
        self.clones[session_id] = self._checked(session_id, session)

    def modify_clone(self, session_id: int, session: CloneSession) -> None:
        """Replace a clone session."""
        self.get_clone(session_id)
        self.clones[session_id] = self._checked(session_id, session)

    def delete_clone(self, session_id: int) -> None:
        """Remove a clone session."""
        self.get_clone(session_id)
        del self.clones[session_id]

    def get_clone(self, session_id: int) -> CloneSession:
        """The session with this id."""
        try:
            return self.clones[session_id]
        except KeyError:
            raise NotFound(f"no clone session {session_id}") from None

    def clear(self) -> None:
        """Forget everything (a new pipeline was pushed)."""
        self.multicast = {}
        self.multicast_metadata = {}
        self.clones = {}

    @staticmethod
    def _checked(session_id: int, session: CloneSession) -> CloneSession:
        if session.packet_length_bytes < 0:
            raise InvalidArgument(f"clone session {session_id}: negative packet length")
        _distinct(f"clone session {session_id}", session.replicas)
        return session


def _distinct(what: str, replicas: tuple[Replica, ...]) -> tuple[Replica, ...]:
    if len(set(replicas)) != len(replicas):
        raise InvalidArgument(f"{what}: the same port and instance twice")
    return tuple(replicas)
