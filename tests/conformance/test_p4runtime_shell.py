"""p4runtime-shell, from an environment of its own, works against the embedded switch unchanged.

It cannot share one with finsy (both bring stubs for the same protocol buffers). The environment is
$UMBRA_P4RUNTIME_SH_VENV, or .venv-p4runtime-sh beside the sources; the Makefile creates it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from p4switch.switch import Switch

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests/unit/p4switch_server/programs"
VENV = Path(os.environ.get("UMBRA_P4RUNTIME_SH_VENV", ROOT / ".venv-p4runtime-sh"))
PYTHON = VENV / "bin/python"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(),
    reason=f"no environment with p4runtime-shell in {VENV}; make one with "
    f"python3 -m venv {VENV} && {VENV}/bin/pip install p4runtime-shell",
)

# Runs in the other environment. It asks for packets to be injected by printing a line and goes on
# when it gets one back.
SCRIPT = """
import sys
import p4runtime_sh.shell as sh

address, info, program = sys.argv[1:]

def inject(port, packet):
    print(f"inject {port} {packet.hex()}", flush=True)
    assert sys.stdin.readline().strip() == "done"

sh.setup(device_id=1, grpc_addr=address, election_id=(0, 1),
         config=sh.FwdPipeConfig(info, program))
try:
    te = sh.TableEntry("I.l2")(action="I.l2_forward")
    te.match["h.ethernet.dst"] = "00:00:00:00:00:0a"
    te.action["port"] = "3"
    te.insert()
    found = [e for e in sh.TableEntry("I.l2").read()]
    assert len(found) == 1, found
    assert found[0].action["port"].value == b"\\x03", found[0]

    te.action["port"] = "4"
    te.modify()
    try:
        te.insert()
    except Exception as error:
        assert "ALREADY_EXISTS" in str(error), error
    else:
        raise AssertionError("the second insert was accepted")

    one_shot = sh.TableEntry("I.balance")
    one_shot.match["h.ipv4.proto"] = "6"
    for port, weight in (("1", 70), ("2", 30)):
        action = sh.Action("I.forward")
        action["port"] = port
        one_shot.oneshot.add(action, weight=weight)
    one_shot.insert()

    digest = sh.DigestEntry("learn_t")
    digest.max_timeout_ns, digest.max_list_size, digest.ack_timeout_ns = 0, 1, 0
    digest.insert()
    inject(7, bytes.fromhex("00000000000b000000000005") + b"\\x12\\x34" + bytes(46))
    for message in sh.DigestList().sniff(timeout=5):
        members = message.digest.data[0].struct.members
        assert [m.bitstring for m in members] == [b"\\x05", b"\\x07"], message
        break
    else:
        raise AssertionError("no digest came")

    counter = sh.CounterEntry("I.port_counter")
    counter.index = 7
    counts = [c.data.packet_count for c in counter.read()]
    assert counts == [1], counts

    group = sh.MulticastGroupEntry(1)
    group.add(1, 1).add(2, 1)
    group.insert()
    te.delete()
    assert [e for e in sh.TableEntry("I.l2").read()] == []
    print("passed", flush=True)
finally:
    sh.teardown()
"""


@pytest.fixture
def switch() -> Iterator[Switch]:
    with Switch(device_id=1, grpc_address="127.0.0.1:0", cpu_port=510) as started:
        yield started


def test_the_shell_pushes_writes_reads_back_and_receives_a_digest(switch: Switch) -> None:
    command = [
        *(str(PYTHON), "-c", SCRIPT, switch.grpc_address),
        *(str(PROGRAMS / "server.p4info.txtpb"), str(PROGRAMS / "server.json")),
    ]
    lines: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        for line in shell.stdout:
            lines.append(line)
            if line.startswith("inject "):
                _, port, packet = line.split()
                switch.inject(int(port), bytes.fromhex(packet))
                shell.stdin.write("done\n")
                shell.stdin.flush()
    assert shell.returncode == 0, "".join(lines)
    assert lines[-1].strip() == "passed"
