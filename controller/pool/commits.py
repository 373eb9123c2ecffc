"""Group commit: all requests that wait are applied in one transaction and made durable by one sync of the disk.

Who comes first leads: it takes the write lock, applies its own request and all that wait, commits, and only then tells
everybody the outcome. Meanwhile others queue up; the first of them leads next. So a lone request changes
no thread, and many share the cost of the disk. When a call returns, its transaction is on the disk.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from controller.pool.batch import Batch
from controller.pool.checkpoints import Checkpoints
from controller.pool.clocks import Clock
from controller.pool.errors import PoolError, Unavailable
from controller.pool.file import begin, open_file, unavailable

T = TypeVar("T")
Operation = Callable[[Batch], T]
MOST = 512  # requests in one transaction: bounds how long the write lock is held


class _Request:
    """A request that waits. `woken` is released when it is done, or when its thread is to lead."""

    __slots__ = ("done", "error", "future", "leads", "operation", "result", "woken")

    def __init__(self, operation: Operation[Any], future: Future[Any] | None) -> None:
        self.operation = operation
        self.future = future
        self.woken: threading.Lock | None = None
        self.result: Any = None
        self.error: Exception | None = None
        self.done = False
        self.leads = False

    def finish(self) -> None:
        self.done = True
        if self.future is not None:
            if self.error is not None:
                self.future.set_exception(self.error)
            else:
                self.future.set_result(self.result)
        elif self.woken is not None:
            self.woken.release()


class Commits:
    """One file's writer in this process. Thread-safe."""

    def __init__(self, path: Path, clock: Clock, cool_s: float, patience_s: float) -> None:
        self._path = path
        self._clock = clock
        self._cool_s = cool_s
        self._patience_s = patience_s
        self._process = os.getpid()
        self._mutex = threading.Lock()  # for the queue and who leads
        self._queue: deque[_Request] = deque()
        self._led = False
        self._closed = False
        self._stopping = False
        self._helper: threading.Thread | None = None
        self._work = threading.Semaphore(0)  # the helper is to lead
        self._connection = open_file(path)
        self._checkpoints = Checkpoints(path)

    def run(self, operation: Operation[T]) -> T:
        """Apply and commit; durable when this returns. Raises what the operation raises, and Unavailable."""
        request = _Request(operation, None)
        with self._mutex:
            self._usable()
            self._enqueue(request)
        self._finish(request)
        result: T = request.result
        return result

    def submit(self, operation: Operation[T]) -> Future[T]:
        """The same without waiting; the future is done when it is durable. It cannot be cancelled."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._mutex:
            self._usable()
            if self._helper is None:
                self._helper = threading.Thread(target=self._help, name="pool writer", daemon=True)
                self._helper.start()
            self._queue.append(_Request(operation, future))
            wake, self._led = not self._led, True
        if wake:
            self._work.release()
        return future

    def close(self) -> None:
        """Finish what waits; later requests are refused."""
        last = _Request(lambda batch: None, None)
        with self._mutex:
            if self._closed:
                return
            self._usable()
            self._closed = True
            self._enqueue(last)
        try:
            with contextlib.suppress(PoolError):  # it changes nothing
                self._finish(last)  # those before it in the queue are done by then
        finally:
            if self._helper is not None:
                self._stopping = True
                self._work.release()
                self._helper.join()
            self._checkpoints.close()
            self._connection.close()

    def _enqueue(self, request: _Request) -> None:
        self._queue.append(request)
        if self._led:
            request.woken = threading.Lock()
            request.woken.acquire()
        self._led = True

    def _finish(self, request: _Request) -> None:
        """Wait for a request, or lead."""
        if request.woken is not None:
            try:
                request.woken.acquire()
            except BaseException:
                self._give_up(request)
                raise
        if not request.done:
            self._lead()
        if request.error is not None:
            raise request.error

    def _give_up(self, request: _Request) -> None:
        """The waiting thread was interrupted: the others must not wait for it to lead."""
        with self._mutex:
            if request in self._queue:
                self._queue.remove(request)
        if request.leads and not request.done:
            self._hand_over()

    def _usable(self) -> None:
        if self._closed:
            raise Unavailable(f"{self._path}: this pool is closed: open it again")
        if os.getpid() != self._process:
            raise Unavailable(f"{self._path}: opened before a fork: open a pool in each process")

    def _lead(self) -> None:
        """Commit what waits, then let the next one lead. The queue is not empty."""
        with self._mutex:
            taken = [self._queue.popleft() for _ in range(min(MOST, len(self._queue)))]
        try:
            self._commit(taken)
        finally:
            self._hand_over()
            for request in taken:
                request.finish()

    def _hand_over(self) -> None:
        with self._mutex:
            if not self._queue:
                self._led = False
                return
            following = self._queue[0]
            following.leads = True
        if following.woken is not None:
            following.woken.release()
        else:
            self._work.release()

    def _help(self) -> None:
        """Lead for requests that nobody waits for, until the pool is closed."""
        while True:
            self._work.acquire()
            if self._stopping:
                return
            self._lead()

    def _commit(self, requests: list[_Request]) -> None:
        try:
            try:
                begin(self._connection, self._path, self._patience_s)
                if not self._apply(requests, careful=False):
                    self._connection.execute("ROLLBACK")
                    begin(self._connection, self._path, self._patience_s)
                    self._apply(requests, careful=True)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        except Exception as error:
            told = unavailable(self._path, error) if isinstance(error, sqlite3.Error) else error
            for request in requests:
                request.error = told
        except BaseException as error:
            for request in requests:
                request.error = Unavailable(f"{self._path}: interrupted ({error!r}): ask again")
            raise
        self._checkpoints.committed()

    def _apply(self, requests: list[_Request], *, careful: bool) -> bool:
        """Apply each request. A request that fails must leave nothing behind: if one fails after a change, all is
        done again, `careful`, each in a savepoint of its own. False: do it again.
        """
        connection = self._connection
        batch = Batch(connection, self._clock, self._cool_s)
        for request in requests:
            before = connection.total_changes
            if careful:
                connection.execute("SAVEPOINT request")
            try:
                request.result, request.error = request.operation(batch), None
            except sqlite3.OperationalError:
                raise  # the disk's fault, and everybody's
            except Exception as error:
                request.error = error
                if careful:
                    connection.execute("ROLLBACK TO request")
                elif connection.total_changes != before or not isinstance(error, PoolError):
                    return False
            if careful:
                connection.execute("RELEASE request")
        batch.end()
        return True
