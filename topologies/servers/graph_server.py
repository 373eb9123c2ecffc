"""A real Neo4j Community server of one's own: on a free loopback port, its data in a folder, stopped by its process id.

Its jars come from Maven Central (`make neo4j` puts them into .neo4j), its Java from Debian (openjdk-17-jdk-headless:
the launcher beside this file is compiled as it is run).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import neo4j
from neo4j.exceptions import DriverError, Neo4jError

from topologies.namespace import dying
from topologies.servers.influx import free_port

START_S = 120.0
PASSWORD = "umbra-bench-password"
JARS = Path(__file__).resolve().parents[2] / ".neo4j"
REMEDY = "install Debian's openjdk-17-jdk-headless and maven, then: make neo4j (128 MB from Maven Central)"
LAUNCHER = Path(__file__).with_name("GraphServer.java")
_OPENS = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")


class NoServerError(RuntimeError):
    """There is no Neo4j server on this machine, or it does not start."""


@dataclass(frozen=True, slots=True)
class Neo4j:
    """A running server. agent: its name and version, as it says itself."""

    uri: str
    agent: str


def version() -> str | None:
    """Of the server on this machine; None: it has none."""
    found = [one.stem.removeprefix("neo4j-") for one in JARS.glob("neo4j-5.*.jar")]
    return found[0] if found and shutil.which("java") else None


@contextmanager
def running(directory: Path) -> Iterator[Neo4j]:
    """The server, from when it answers until the end of the block. Raises NoServerError."""
    if version() is None:
        raise NoServerError(f"no Neo4j here; {REMEDY}")
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    uri = f"bolt://127.0.0.1:{port}"
    conf = directory / "neo4j.conf"
    conf.write_text(
        f"server.directories.data={directory / 'data'}\n"
        f"server.directories.logs={directory / 'logs'}\n"
        "server.bolt.enabled=true\n"
        f"server.bolt.listen_address=127.0.0.1:{port}\n"
        f"server.bolt.advertised_address=127.0.0.1:{port}\n"
        "server.memory.pagecache.size=64m\n"
        "dbms.security.auth_enabled=true\n"
        "dbms.usage_report.enabled=false\n"
    )
    opens = [f"--add-opens=java.base/{one}=ALL-UNNAMED" for one in _OPENS]
    command = [
        "java", "-Xmx512m", "-XX:+UseSerialGC", *opens, "-cp", f"{JARS}/*",
        str(LAUNCHER), str(directory), str(conf),
    ]  # fmt: skip
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            dying(command),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"HOME": str(directory)},
        )
    try:
        yield Neo4j(uri, _wait(uri, process, directory / "log"))
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


def _wait(uri: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """Until it answers; a new server wants its first password changed before anything else. Its own name."""
    end_s = time.monotonic() + START_S
    while True:
        try:
            with (
                neo4j.GraphDatabase.driver(uri, auth=("neo4j", "neo4j")) as driver,
                driver.session(database="system") as session,
            ):
                session.run(
                    "ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $new", new=PASSWORD
                ).consume()
                return driver.get_server_info().agent
        except (Neo4jError, DriverError) as error:
            if process.poll() is not None or time.monotonic() > end_s:
                tail = log.read_text(errors="replace")[-2000:]
                raise NoServerError(
                    f"Neo4j does not start ({error}); its log ends:\n{tail}"
                ) from error
            time.sleep(0.2)
