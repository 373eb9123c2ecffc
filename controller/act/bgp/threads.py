"""os-ken's native threads, made fit for its BGP speaker. Only for the speaker's own process."""

from __future__ import annotations

import os
import threading
from typing import Any

HUB = "OSKEN_HUB_TYPE"


class SoundEvent(threading.Event):
    """What os-ken's native Event promises: `wait(timeout)` ends in time, and no `set` is missed.

    os-ken's own makes a new event inside at every `set`: who has looked, and does not wait yet, then waits on the
    new one for ever.
    """


def prepare() -> None:
    """Before anything of os-ken's BGP is used: the hub is chosen when os-ken is imported."""
    os.environ[HUB] = "native"
    from os_ken.lib import hub

    hub.Event = SoundEvent


def use_sessions(session: type[Any]) -> None:
    """Have os-ken's speaker make our sessions where it would make its own peers."""
    from os_ken.services.protocols.bgp.core_managers import peer_manager

    peer_manager.Peer = session
