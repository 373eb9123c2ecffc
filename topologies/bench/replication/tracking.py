"""Connection tracking of the kernel, turned on in one network namespace.

The kernel tracks in a namespace as soon as a rule there asks for a connection's state. This writes one such rule
(nftables: `ct state`) over netlink; it lives and dies with its namespace and drops nothing.
"""

from __future__ import annotations

import socket
import struct

NETLINK_NETFILTER = 12
# linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
SUBSYSTEM_NFTABLES = 10
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEW_TABLE, NEW_CHAIN, NEW_RULE = 0, 3, 6
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE = 0x001, 0x004, 0x400
NLMSG_ERROR = 2
NLA_F_NESTED = 0x8000
TABLE_NAME = 1
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_TYPE = 1, 3, 4, 7
HOOK_NUMBER, HOOK_PRIORITY = 1, 2
RULE_TABLE, RULE_CHAIN, RULE_EXPRESSIONS = 1, 2, 4
LIST_ELEMENT, EXPRESSION_NAME, EXPRESSION_DATA = 1, 1, 2
CT_REGISTER, CT_KEY = 1, 2
REGISTER_1, KEY_STATE, PREROUTING = 1, 0, 0

NAME = b"umbra_bench\0"


def track_connections() -> None:
    """Track every IPv4 connection that passes the current network namespace. OSError when the kernel refuses."""
    expression = _nested(
        LIST_ELEMENT,
        _attribute(EXPRESSION_NAME, b"ct\0"),
        _nested(EXPRESSION_DATA, _number(CT_REGISTER, REGISTER_1), _number(CT_KEY, KEY_STATE)),
    )
    hook = _nested(CHAIN_HOOK, _number(HOOK_NUMBER, PREROUTING), _number(HOOK_PRIORITY, 0))
    changes = (
        (NEW_TABLE, _attribute(TABLE_NAME, NAME)),
        (
            NEW_CHAIN,
            _attribute(CHAIN_TABLE, NAME)
            + _attribute(CHAIN_NAME, NAME)
            + hook
            + _attribute(CHAIN_TYPE, b"filter\0"),
        ),
        (
            NEW_RULE,
            _attribute(RULE_TABLE, NAME)
            + _attribute(RULE_CHAIN, NAME)
            + _nested(RULE_EXPRESSIONS, expression),
        ),
    )
    messages = [_message(BATCH_BEGIN, 0, 0, SUBSYSTEM_NFTABLES, b"", 0)]
    for sequence, (kind, body) in enumerate(changes, 1):
        number = SUBSYSTEM_NFTABLES << 8 | kind
        messages.append(
            _message(number, NLM_F_CREATE | NLM_F_ACK, socket.AF_INET, 0, body, sequence)
        )
    messages.append(_message(BATCH_END, 0, 0, SUBSYSTEM_NFTABLES, b"", len(messages)))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.settimeout(2.0)
        sock.send(b"".join(messages))
        acknowledged = 0
        while acknowledged < len(changes):
            for code in _answers(sock.recv(65536)):
                if code:
                    raise OSError(-code, "nftables: no rule that turns on connection tracking")
                acknowledged += 1


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, value.to_bytes(4, "big"))


def _nested(kind: int, *attributes: bytes) -> bytes:
    return _attribute(kind | NLA_F_NESTED, b"".join(attributes))


def _message(
    kind: int, flags: int, family: int, resource: int, body: bytes, sequence: int
) -> bytes:
    content = struct.pack("!BBH", family, 0, resource) + body
    return (
        struct.pack("IHHII", 16 + len(content), kind, flags | NLM_F_REQUEST, sequence, 0) + content
    )


def _answers(data: bytes) -> list[int]:
    """The error codes (0: done) of the acknowledgements in a datagram of the kernel's."""
    codes = []
    while len(data) >= 16:
        length, kind = struct.unpack_from("IH", data)
        if kind == NLMSG_ERROR:
            codes.append(struct.unpack_from("i", data, 16)[0])
        data = data[(length + 3) & ~3 :]
    return codes
