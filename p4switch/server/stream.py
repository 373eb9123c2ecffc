"""StreamChannel: one outgoing queue per client, and what clients send."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator

import grpc
from finsy.proto import p4r, rpc_code

from p4switch.errors import SwitchError
from p4switch.server.arbitration import Client
from p4switch.server.device import Device
from p4switch.server.status import SPACE, RpcError, abort_with, code_of

LOG = logging.getLogger(__name__)

MAX_QUEUED = 16_384
"""Messages that wait for a slow client; packet-ins, digests and notices above it are dropped."""


class Stream:
    """One StreamChannel call."""

    def __init__(self, device: Device, context: grpc.ServicerContext) -> None:
        self._device = device
        self._context = context
        self._queue: queue.SimpleQueue[p4r.StreamMessageResponse | Exception | None] = (
            queue.SimpleQueue()
        )
        self._client = Client(self.send)
        self.dropped = 0

    def send(self, message: p4r.StreamMessageResponse) -> None:
        """Queue a message for the client without blocking; arbitration is never dropped."""
        if self._queue.qsize() >= MAX_QUEUED and message.WhichOneof("update") != "arbitration":
            if self.dropped == 0:
                LOG.warning("a client reads too slowly: dropping messages for it")
            self.dropped += 1
            return
        self._queue.put(message)

    def run(
        self, requests: Iterator[p4r.StreamMessageRequest]
    ) -> Iterator[p4r.StreamMessageResponse]:
        """Yield what goes to the client until either side ends the stream."""
        if not self._context.add_callback(self.close):
            return
        reader = threading.Thread(
            target=self._read, args=(requests,), name="p4rt-stream-reader", daemon=True
        )
        reader.start()
        try:
            while (item := self._queue.get()) is not None:
                if isinstance(item, Exception):
                    self._device.arbiter.leave(self._client)
                    abort_with(self._context, item)
                    return
                yield item
        finally:
            self._device.arbiter.leave(self._client)

    def close(self) -> None:
        """End the stream once what is queued has been sent."""
        self._device.arbiter.leave(self._client)
        self._queue.put(None)

    def _read(self, requests: Iterator[p4r.StreamMessageRequest]) -> None:
        try:
            for request in requests:
                self._handle(request)
        except (RpcError, SwitchError) as error:
            self._queue.put(error)
        except Exception as error:
            # grpc ends the request iterator with a bare Exception when the client is gone.
            if self._context.is_active():
                LOG.exception("StreamChannel failed")
                self._queue.put(RpcError(rpc_code.INTERNAL, f"StreamChannel failed: {error}"))
            else:
                self._queue.put(None)
        else:
            self._queue.put(None)

    def _handle(self, request: p4r.StreamMessageRequest) -> None:
        kind = request.WhichOneof("update")
        if kind == "arbitration":
            self._device.arbiter.update(self._client, request.arbitration)
        elif kind == "packet":
            self._packet_out(request.packet)
        elif kind == "digest_ack":
            if self._device.arbiter.primary is self._client:
                self._device.digest_ack(request.digest_ack)
        else:
            error = p4r.StreamError(
                canonical_code=rpc_code.INVALID_ARGUMENT,
                message=f"stream message {kind or 'without content'} is not understood",
                space=SPACE,
            )
            error.other.SetInParent()
            self.send(p4r.StreamMessageResponse(error=error))

    def _packet_out(self, packet: p4r.PacketOut) -> None:
        if self._device.arbiter.primary is not self._client:
            self._refuse(packet, rpc_code.PERMISSION_DENIED, "Not primary: packet-out dropped")
            return
        try:
            self._device.packet_out(packet)
        except (RpcError, SwitchError) as error:
            self._refuse(packet, code_of(error), str(error))

    def _refuse(self, packet: p4r.PacketOut, code: int, message: str) -> None:
        error = p4r.StreamError(canonical_code=code, message=message, space=SPACE)
        error.packet_out.packet_out.CopyFrom(packet)
        self.send(p4r.StreamMessageResponse(error=error))
