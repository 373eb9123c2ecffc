"""The gRPC service: checks who asks, calls the part that answers, maps errors to statuses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import grpc
from finsy.proto import p4r, p4r_grpc, rpc_code

from p4switch.errors import InvalidArgument, SwitchError
from p4switch.server.arbitration import MAX_CLIENTS, refuse_role
from p4switch.server.config import get_config, set_config
from p4switch.server.device import Device
from p4switch.server.status import RpcError, abort, abort_with, batch_status
from p4switch.server.stream import Stream

LOG = logging.getLogger(__name__)

API_VERSION = "1.3.0"
"""What BMv2's server answers to Capabilities; later additions are accepted but not promised."""

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""As BMv2's server: room for large programs."""


class Service(p4r_grpc.P4RuntimeServicer):
    """P4Runtime for one device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._streams: set[Stream] = set()

    def Write(self, request: p4r.WriteRequest, context: grpc.ServicerContext) -> p4r.WriteResponse:
        """Apply a batch of updates."""
        device = self._device
        try:
            device.check_device(request.device_id)
            with device.write_lock:
                device.arbiter.check_writer(
                    request.role,
                    request.election_id if request.HasField("election_id") else None,
                )
                forwarding = device.forwarding()
                if request.atomicity != p4r.WriteRequest.CONTINUE_ON_ERROR:
                    raise RpcError(
                        rpc_code.UNIMPLEMENTED,
                        "Support for atomic write modes has not been implemented; use "
                        "CONTINUE_ON_ERROR",
                    )
                status = batch_status(forwarding.writer.apply(request.updates))
        except Exception as error:
            _fail(context, "Write", error)
        if status is not None:
            abort(context, status)
        return p4r.WriteResponse()

    def Read(
        self, request: p4r.ReadRequest, context: grpc.ServicerContext
    ) -> Iterator[p4r.ReadResponse]:
        """Stream what the request names."""
        try:
            self._device.check_device(request.device_id)
            refuse_role(request.role)
            yield from self._device.forwarding().reader.read(request.entities)
        except GeneratorExit:
            raise
        except Exception as error:
            _fail(context, "Read", error)

    def SetForwardingPipelineConfig(
        self,
        request: p4r.SetForwardingPipelineConfigRequest,
        context: grpc.ServicerContext,
    ) -> p4r.SetForwardingPipelineConfigResponse:
        """Verify, save, commit or reconcile a program."""
        device = self._device
        try:
            device.check_device(request.device_id)
            with device.write_lock:
                device.arbiter.check_writer(
                    request.role,
                    request.election_id if request.HasField("election_id") else None,
                )
                set_config(device, request)
        except Exception as error:
            _fail(context, "SetForwardingPipelineConfig", error)
        return p4r.SetForwardingPipelineConfigResponse()

    def GetForwardingPipelineConfig(
        self,
        request: p4r.GetForwardingPipelineConfigRequest,
        context: grpc.ServicerContext,
    ) -> p4r.GetForwardingPipelineConfigResponse:
        """The program that reads and writes refer to."""
        try:
            self._device.check_device(request.device_id)
            return get_config(self._device, request)
        except Exception as error:
            _fail(context, "GetForwardingPipelineConfig", error)

    def StreamChannel(
        self,
        request_iterator: Iterator[p4r.StreamMessageRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[p4r.StreamMessageResponse]:
        """One client's session."""
        # Sessions that never bid count too: each one holds a thread that calls would need.
        if len(self._streams) >= MAX_CLIENTS:
            message = f"Too many connections: at most {MAX_CLIENTS} clients; close one"
            abort_with(context, RpcError(rpc_code.RESOURCE_EXHAUSTED, message))
        stream = Stream(self._device, context)
        self._streams.add(stream)
        try:
            yield from stream.run(request_iterator)
        finally:
            self._streams.discard(stream)

    def Capabilities(
        self, request: p4r.CapabilitiesRequest, context: grpc.ServicerContext
    ) -> p4r.CapabilitiesResponse:
        """The version of the API."""
        return p4r.CapabilitiesResponse(p4runtime_api_version=API_VERSION)

    def close_streams(self) -> None:
        """End every session."""
        for stream in list(self._streams):
            stream.close()


def _fail(context: grpc.ServicerContext, call: str, error: Exception) -> NoReturn:
    if isinstance(error, RpcError | SwitchError):
        LOG.debug("%s refused: %s", call, error)
        abort_with(context, error)
    if not context.is_active():
        raise error
    LOG.error("%s failed", call, exc_info=error)
    abort_with(context, RpcError(rpc_code.INTERNAL, f"{call} failed: {error!r}; see the log"))
    raise error


class Server:
    """The listening gRPC server."""

    def __init__(
        self, device: Device, address: str, credentials: grpc.ServerCredentials | None = None
    ) -> None:
        self._service = Service(device)
        # A session holds one thread for as long as it is open; the rest serve calls.
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=MAX_CLIENTS + 8, thread_name_prefix="p4rt"),
            options=(
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_metadata_size", 64 * 1024),
                # Two switches must never share an address: the second one has to say so.
                ("grpc.so_reuseport", 0),
            ),
        )
        p4r_grpc.add_P4RuntimeServicer_to_server(self._service, self._server)
        add: Callable[[], int] = (
            (lambda: self._server.add_insecure_port(address))
            if credentials is None
            else (lambda: self._server.add_secure_port(address, credentials))
        )
        try:
            self.port = add()
        except RuntimeError as error:
            raise InvalidArgument(
                f"gRPC server cannot listen on {address}: {error}; is the port in use? choose "
                "another one with --grpc-server-addr"
            ) from error
        if not self.port:
            raise InvalidArgument(
                f"gRPC server cannot listen on {address}: choose another address with "
                "--grpc-server-addr"
            )

    def start(self) -> None:
        """Accept calls."""
        self._server.start()

    def stop(self, grace_s: float = 0.5) -> None:
        """End all sessions and calls."""
        self._service.close_streams()
        self._server.stop(grace_s).wait()
