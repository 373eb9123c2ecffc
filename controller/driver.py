"""Configuration → the driver of all switches, with the programs that they run."""

from __future__ import annotations

from controller.act.fabric import FabricDriver
from controller.act.program import files
from controller.config import Config
from controller.model import Fabric


def make_driver(config: Config, fabric: Fabric) -> FabricDriver:
    """Raises ProgramError when a compiled program cannot be used."""
    p4 = config.p4
    own = {
        switch.name: files(switch.p4.p4info, switch.p4.json_path)
        for switch in config.switches
        if switch.p4 is not None
    }
    return FabricDriver(fabric, files(p4.p4info, p4.json_path), own)
