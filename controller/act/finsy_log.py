"""What finsy says in its log and nowhere else.

A task of finsy's that fails (the push of a program, say) ends the session with a bare cancellation; the error itself is
only logged, with a traceback. Here it is kept for whoever asks, and left out of the log.
"""

from __future__ import annotations

import logging


class FinsyLog(logging.Filter):
    """Keeps the last failure per switch; drops the warning that every switch without gNMI causes."""

    def __init__(self) -> None:
        super().__init__()
        self._failures: dict[str, BaseException] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "Switch task" in message and record.exc_info and record.exc_info[1] is not None:
            _, _, task = message.partition("fy:")
            self._failures[task.partition("|")[0]] = record.exc_info[1]
            return False
        return "gNMI is not implemented" not in message

    def failure(self, switch: str) -> BaseException | None:
        """What ended the switch's session, once."""
        return self._failures.pop(switch, None)


FINSY_LOG = FinsyLog()
logging.getLogger("finsy").addFilter(FINSY_LOG)
