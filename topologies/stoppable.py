"""Running asyncio such that a signal that ends the program ends the work in order, as Ctrl-C does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def run(work: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, which cancels the work at SIGINT; here SIGTERM and SIGHUP do the same. Then KeyboardInterrupt.

    A handler that raises, in whatever task happens to run, would leave other tasks behind, and their complaints on the
    terminal. Call it in the main thread.
    """
    caught: list[signal.Signals] = []

    async def watched() -> T:
        task = asyncio.current_task()
        assert task is not None

        def stop(number: signal.Signals) -> None:
            caught.append(number)
            task.cancel()

        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in SIGNALS}
        for number in SIGNALS:
            loop.add_signal_handler(number, stop, number)
        try:
            return await work
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        if caught:
            raise KeyboardInterrupt(f"signal {caught[0]}") from None
        raise
