"""What takes long to start, started once for several tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Answer = TypeVar("Answer")


class Shared(Generic[T]):
    """What `start` gives runs from its first use until `close`. When a test fails it is ended, and the next test
    gets a new one.
    """

    def __init__(self, start: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._start = start
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._running: T | None = None

    def close(self) -> None:
        """End what runs."""
        with self._runner:
            self._runner.run(self._end())

    def run(self, test: Callable[[T], Coroutine[Any, Any, Answer]]) -> Answer:
        """What the test finds out; between tests nothing goes on."""
        return self._runner.run(self._run(test))

    async def _run(self, test: Callable[[T], Coroutine[Any, Any, Answer]]) -> Answer:
        try:
            if self._running is None:
                self._running = await self._stack.enter_async_context(self._start())
            return await test(self._running)
        except BaseException:
            await self._end()
            raise

    async def _end(self) -> None:
        self._running = None
        await self._stack.aclose()
