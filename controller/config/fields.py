"""The kinds of values that the configuration's sections are made of, checked and explained."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MOST_PORTS = 509  # 510 is the CPU port of the data plane, 511 drops
MOST_ENTRIES = 65536  # per way of the connection table
LABELS = (16, 4095)  # 0..15 are reserved (RFC 3032); the data plane knows 4096
LONGEST_IDLE_S = 6 * 86400.0  # half the range of the data plane's 24-bit clock


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError("write an IPv4 address such as 10.1.1.10") from None


def _subnet(text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"write an IPv4 prefix such as 10.1.1.0/24 ({error})") from None
    if network.prefixlen > 29:
        raise ValueError("give the subnet room for a gateway and hosts: /29 or larger")
    return str(network)


def _mac(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
        raise ValueError("write a MAC address such as 02:00:00:00:01:01")
    if int(text[:2], 16) & 1:
        raise ValueError("this is a multicast address: make the first byte even")
    return text.lower()


def _server(text: str) -> str:
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})", text)
    if not match or not 1 <= int(match.group(2)) <= 65535:
        raise ValueError("write host:port, such as 127.0.0.1:50001")
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?/?", text):
        raise ValueError("write http://host:port or https://host:port, without name or password")
    return text.rstrip("/")


def _port(text: str) -> str:
    match = re.fullmatch(r"([^:]+):([0-9]{1,3})", text)
    if not match or not 1 <= int(match.group(2)) <= MOST_PORTS:
        raise ValueError(f"write switch:port, such as e1:1, the port from 1 to {MOST_PORTS}")
    return f"{match.group(1)}:{int(match.group(2))}"


def _power_of_two(number: int) -> int:
    if number & (number - 1):
        raise ValueError("write a power of two")
    return number


def _time_s(value: Any) -> Any:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("write a time such as 2026-07-01T18:00:00+02:00") from None
        if moment.tzinfo is None:
            raise ValueError(f"say which zone it is, such as {value}Z or {value}+02:00")
        return moment.timestamp()
    return value


def zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("write an IANA time zone such as Europe/Berlin, or UTC") from None
    return text


def ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(right <= left for left, right in pairwise(values)):
        raise ValueError("write them in ascending order, without repeats")
    return values


Text = Annotated[str, Field(strict=True, min_length=1)]
Name = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
Flag = Annotated[bool, Field(strict=True)]
Int = Annotated[int, Field(strict=True)]
Float = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Ipv4 = Annotated[str, Field(strict=True), AfterValidator(_ipv4)]
Subnet = Annotated[str, Field(strict=True), AfterValidator(_subnet)]
Mac = Annotated[str, Field(strict=True), AfterValidator(_mac)]
Server = Annotated[str, Field(strict=True), AfterValidator(_server)]
Url = Annotated[str, Field(strict=True), AfterValidator(_url)]
PortName = Annotated[str, Field(strict=True), AfterValidator(_port)]
PowerOfTwo = Annotated[int, Field(strict=True, ge=1), AfterValidator(_power_of_two)]
Label = Annotated[int, Field(strict=True, ge=LABELS[0], le=LABELS[1])]
IdleS = Annotated[float, Field(strict=True, ge=1, le=LONGEST_IDLE_S)]
Time = Annotated[float, Field(strict=True, allow_inf_nan=False), BeforeValidator(_time_s)]
UdpOrTcpPort = Annotated[int, Field(strict=True, ge=1, le=65535)]
SwitchNames = tuple[Name, ...]


class Section(BaseModel):
    """Frozen, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
