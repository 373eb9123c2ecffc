"""Who may talk to the API: loopback freely, everyone else only with a bearer token."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from controller.config.addresses import is_loopback

MIN_TOKEN_CHARS = 16


class AccessError(ValueError):
    """The API cannot be served as configured; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class Access:
    """Rules for one listening address. `hosts` None: any Host header (the token protects)."""

    token: str | None
    hosts: frozenset[str] | None


def read_token(path: Path) -> str:
    """The bearer token in `path`, one line. AccessError if absent, short or readable by others."""
    make = f"make one: (umask 077; head -c 24 /dev/urandom | base64 > {path})"
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise AccessError(f"api token file {path}: {error.strerror}; {make}") from error
    except UnicodeDecodeError as error:
        raise AccessError(f"api token file {path}: not ASCII; {make}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise AccessError(f"api token file {path}: readable by others; run: chmod 600 {path}")
    if len(token) < MIN_TOKEN_CHARS or any(not char.isprintable() or char == " " for char in token):
        raise AccessError(
            f"api token file {path}: it must hold one line of at least {MIN_TOKEN_CHARS} "
            f"characters without spaces; {make}"
        )
    return token


def decide(host: str, token_file: Path | None) -> Access:
    """Rules for an API bound to `host`.

    AccessError when it would be reachable from other machines without a token.
    """
    token = read_token(token_file) if token_file is not None else None
    if is_loopback(host):
        # A page in the operator's browser can make its own name resolve to 127.0.0.1 (DNS
        # rebinding); its requests carry that name as Host, so only loopback names pass.
        return Access(token, frozenset({"localhost", "127.0.0.1", "::1", host}))
    if token is None:
        raise AccessError(
            f"api.host {host}: other machines could control the fabric; bind to 127.0.0.1, "
            "or set api.token_file to a file with a bearer token"
        )
    return Access(token, None)
