"""Actions of P4Runtime (ids, byte strings) to and from action calls (names, integers)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finsy.proto import p4i, p4r

from p4switch.actions import ActionCall, ActionSet
from p4switch.errors import InvalidArgument, ResourceExhausted, Unsupported
from p4switch.server.codec import decode_bits, encode_bits

MAX_SLOTS = 65_536
"""Slots of a group or an action set whose program sets no limit: each one takes memory."""


@dataclass(frozen=True, slots=True)
class ActionCodec:
    """One action: its id and its parameters as (param id, width in bits), in the program's order."""

    action_id: int
    name: str
    params: tuple[tuple[int, int], ...]

    @classmethod
    def from_p4info(cls, action: p4i.Action) -> ActionCodec:
        """The codec of an action that P4Info declares."""
        params = tuple((p.id, p.bitwidth) for p in action.params)
        return cls(action.preamble.id, action.preamble.name, params)

    def decode(self, action: p4r.Action) -> ActionCall:
        """InvalidArgument for a wrong number of parameters, unknown ids and values too wide."""
        given = action.params
        if len(given) != len(self.params):
            raise InvalidArgument(
                f"action {self.name} takes {len(self.params)} parameters, {len(given)} were sent"
            )
        args: list[int] = []
        for param, (param_id, width_bits) in zip(given, self.params, strict=True):
            value = int.from_bytes(param.value, "big")
            if param.param_id != param_id or value >> width_bits:
                return self._decode_unordered(action)
            args.append(value)
        return ActionCall(self.name, tuple(args))

    def _decode_unordered(self, action: p4r.Action) -> ActionCall:
        # The slow way: parameters in another order, or one of them is wrong and must be named.
        values = {p.param_id: p.value for p in action.params}
        args: list[int] = []
        for param_id, width_bits in self.params:
            if param_id not in values:
                raise InvalidArgument(
                    f"action {self.name}: parameter {param_id} is missing; it has "
                    f"{[p[0] for p in self.params]}, {sorted(values)} were sent"
                )
            what = f"action {self.name}, parameter {param_id}"
            args.append(decode_bits(values[param_id], width_bits, what))
        return ActionCall(self.name, tuple(args))

    def encode(self, call: ActionCall, out: p4r.Action) -> None:
        """Fill `out` with this action and the arguments of `call`."""
        out.action_id = self.action_id
        for (param_id, _), value in zip(self.params, call.args, strict=True):
            out.params.add(param_id=param_id, value=encode_bits(value))


def decode_port(data: bytes, what: str) -> int:
    """A port number of at most 32 bits; InvalidArgument when it is empty or wider."""
    if not data:
        raise InvalidArgument(f"{what}: the port is empty; give a port number")
    return decode_bits(data, 32, what)


def decode_watch(
    message: p4r.ActionProfileAction | p4r.ActionProfileGroup.Member,
) -> int:
    """The watched port of a weighted action or member, -1 when none is watched."""
    kind = message.WhichOneof("watch_kind")
    if kind == "watch_port":
        return decode_port(message.watch_port, "watch_port")
    if kind == "watch":
        return message.watch if message.watch > 0 else -1
    return -1


def check_slots(owner: str, total: int, max_group_size: int) -> None:
    """ResourceExhausted when weights sum to more than the program, or the switch, allows."""
    limit = max_group_size or MAX_SLOTS
    if total > limit:
        whose = "max_group_size of the program" if max_group_size else "what the switch allows"
        raise ResourceExhausted(f"{owner}: the weights sum to {total}, more than {limit}, {whose}")


@dataclass(frozen=True, slots=True)
class ActionScope:
    """The actions that one table or one action profile may call, by id and by name."""

    owner: str
    by_id: Mapping[int, ActionCodec]
    by_name: Mapping[str, ActionCodec]

    @classmethod
    def of(cls, owner: str, codecs: list[ActionCodec]) -> ActionScope:
        """The scope of `owner` with these actions."""
        return cls(owner, {c.action_id: c for c in codecs}, {c.name: c for c in codecs})

    def decode(self, action: p4r.Action) -> ActionCall:
        """InvalidArgument when the action is not one that the owner may call."""
        codec = self.by_id.get(action.action_id)
        if codec is None:
            raise InvalidArgument(
                f"action {action.action_id} is not an action of {self.owner}; it has "
                f"{', '.join(f'{c.name} ({i})' for i, c in self.by_id.items())}"
            )
        return codec.decode(action)

    def encode(self, call: ActionCall, out: p4r.Action) -> None:
        """Fill `out`; an action of the program that P4Info hides from this owner has id 0."""
        codec = self.by_name.get(call.name)
        if codec is not None:
            codec.encode(call, out)

    def decode_set(self, action_set: p4r.ActionProfileActionSet, max_group_size: int) -> ActionSet:
        """A one-shot action set; every weight is at least 1, their sum at most max_group_size."""
        if action_set.size_semantics == p4r.ActionProfileActionSet.SUM_OF_MEMBERS:
            raise Unsupported("size_semantics SUM_OF_MEMBERS is not implemented; leave it unset")
        if action_set.action_selection_mode == p4r.ActionProfileActionSet.RANDOM:
            raise Unsupported("action_selection_mode RANDOM is not implemented; leave it unset")
        slots: list[tuple[ActionCall, int, int]] = []
        total = 0
        # A slot set repeats few distinct actions many times: decode each of them once.
        decoded: dict[bytes, ActionCall] = {}
        for item in action_set.action_profile_actions:
            weight = item.weight
            if weight <= 0:
                raise InvalidArgument(
                    f"{self.owner}: weight {weight} of slot {len(slots)} is not positive"
                )
            total += weight
            key = item.action.SerializeToString()
            call = decoded.get(key)
            if call is None:
                call = decoded[key] = self.decode(item.action)
            slots.append((call, weight, decode_watch(item)))
        if not slots:
            raise Unsupported(f"{self.owner}: the action set is empty; give at least one action")
        check_slots(self.owner, total, max_group_size)
        return ActionSet(tuple(slots))

    def encode_set(self, action_set: ActionSet, out: p4r.ActionProfileActionSet) -> None:
        """Fill `out` with the slots, in their order."""
        for call, weight, watch_port in action_set.actions:
            item = out.action_profile_actions.add(weight=weight)
            self.encode(call, item.action)
            if watch_port >= 0:
                item.watch_port = encode_bits(watch_port)
