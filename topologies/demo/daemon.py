"""umbra's daemon as a process of its own, and what its REST API says. For views and reports, not
for figures.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from topologies.ending import end
from topologies.namespace import dying

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
REQUEST_TIMEOUT_S = 2.0
POLL_S = 0.1
MOST_DECISIONS = 1000
ATTEMPTS = 3  # a busy machine may keep an answer longer than REQUEST_TIMEOUT_S
LOG_LINES = 8
CONFIG_FILE = "umbra.yaml"


class DaemonError(RuntimeError):
    """The controller did not start, died, or does not answer."""


class Daemon:
    """`umbra run` on a configuration that is written to `directory`; its log is `umbra.log` there."""

    def __init__(self, config: Mapping[str, Any], directory: Path) -> None:
        self.log_path = directory / "umbra.log"
        self._config_path = directory / CONFIG_FILE
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        api = config["api"]
        self._client = httpx.Client(
            base_url=f"http://{api['host']}:{api['port']}/api/v1",
            timeout=REQUEST_TIMEOUT_S,
            trust_env=False,
        )

    def start(self) -> None:
        """Write the configuration and start the process."""
        self._config_path.parent.mkdir(parents=True, exist_ok=True)
        self._config_path.write_text(
            yaml.safe_dump(dict(self._config), sort_keys=False), encoding="utf-8"
        )
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                dying(
                    [
                        *(sys.executable, "-m", "controller.cli"),
                        *("run", "--config", str(self._config_path)),
                    ]
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _last_lines(self) -> str:
        if not self.log_path.exists():
            return "it is empty"
        lines = self.log_path.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return f"the end of {self.log_path}:" + "".join(f"\n    {line}" for line in lines)

    def check(self) -> None:
        """DaemonError with the end of the log if the process has ended."""
        if self._process is None or self._process.poll() is not None:
            how = "was not started" if self._process is None else f"ended ({self._process.poll()})"
            raise DaemonError(f"the controller {how}; {self._last_lines()}")

    def wait_ready(self, waiting: Callable[[int, int], None] = lambda _done, _all: None) -> None:
        """Return when every switch is connected and reconciled. `waiting` is told (ready, all) on
        the way.
        """
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            self.check()
            nodes = self._nodes()
            ready = sum(1 for node in nodes if node["up"] and node["reconciled"])
            waiting(ready, len(self._config["switches"]))
            if ready == len(self._config["switches"]):
                return
            if time.monotonic() > deadline_s:
                late = ", ".join(
                    f"{node['name']} ({node['last_error'] or 'no error'})"
                    for node in nodes
                    if not node["reconciled"]
                )
                raise DaemonError(
                    f"not ready after {READY_TIMEOUT_S:g} s: {late or 'no answer'}; "
                    f"{self._last_lines()}"
                )
            time.sleep(POLL_S)

    def _nodes(self) -> list[dict[str, Any]]:
        try:
            nodes: list[dict[str, Any]] = self._get("/nodes")
        except httpx.HTTPError:
            return []  # it does not listen yet, or is not ready to answer
        return nodes

    def _get(self, path: str, **parameters: int) -> Any:
        answer = self._client.get(path, params=parameters)
        answer.raise_for_status()
        return answer.json()

    def state(self) -> dict[str, Any] | None:
        """The controller's state (GET /state); None when it does not answer in time."""
        try:
            state: dict[str, Any] = self._get("/state")
        except httpx.HTTPError:
            self.check()
            return None
        return state

    def decisions(self, limit: int = MOST_DECISIONS) -> list[dict[str, Any]]:
        """Decisions, oldest first; DaemonError when it does not answer."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                found: list[dict[str, Any]] = self._get("/decisions", limit=limit)
                break
            except httpx.HTTPError as error:
                self.check()
                if attempt == ATTEMPTS:
                    raise DaemonError(
                        f"the controller does not tell its decisions: {error}"
                    ) from error
        return sorted(found, key=lambda decision: decision["time_s"])

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that does not help."""
        self._client.close()
        if self._process is not None and self._process.poll() is None:
            end(self._process, STOP_TIMEOUT_S)
