"""A switch that refuses the program: the controller says which switch and why, and the others go on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from controller.act.node import NodeLink
from controller.act.program import Files, ProgramError, check, default_files
from harness.small import at, small_fabric
from topologies.single import SingleSwitch

PROGRAMS = Path(__file__).resolve().parents[1] / "unit" / "p4switch" / "programs"
OTHER = Files(PROGRAMS / "control.p4info.txtpb", PROGRAMS / "control.json")
OURS = default_files()


def test_a_program_that_the_switch_cannot_run_is_named_by_its_error(
    kind: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"program": "of nothing"}')

    async def error(device: SingleSwitch) -> str | None:
        def up(_link: NodeLink) -> None:
            raise AssertionError("the switch took the program")

        link = NodeLink(
            at(small_fabric(), "s1", device.address, device.device_id),
            Files(OURS.p4info, broken),
            on_connected=up,
            on_down=lambda _: None,
            on_digest=lambda *_: None,
        )
        first = link.last_error
        running = asyncio.create_task(link.run())
        async with asyncio.timeout(10):
            while link.last_error == first:
                await asyncio.sleep(0.05)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return link.last_error

    with SingleSwitch(kind, 1, tmp_path) as device:
        found = asyncio.run(error(device))
    assert found
    assert "INVALID_ARGUMENT" in found or "UNKNOWN" in found or "INTERNAL" in found


def test_halves_of_different_programs_are_refused_before_any_switch_is_asked() -> None:
    with pytest.raises(ProgramError, match=r"does not fit .*control\.json.*compile both"):
        check(Files(OURS.p4info, OTHER.json))


def test_a_program_without_umbras_tables_is_refused() -> None:
    with pytest.raises(ProgramError, match=r"umbra writes .*slots"):
        check(OTHER)


@pytest.mark.parametrize("damaged", ["p4info", "json"])
def test_a_file_that_cannot_be_read_is_named(damaged: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("{ not this")
    files = Files(
        bad if damaged == "p4info" else OURS.p4info, bad if damaged == "json" else OURS.json
    )
    with pytest.raises(ProgramError, match=f"{bad}: no "):
        check(files)


def test_the_program_that_comes_with_umbra_fits() -> None:
    check(OURS)
