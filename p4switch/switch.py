"""The whole switch: a pipeline, ports, the packet thread and the P4Runtime server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from finsy.proto import p4i, p4r

from p4switch.pipeline import Pipeline
from p4switch.ports import Outputs, PacketLoop, PortStats
from p4switch.server.device import Device
from p4switch.server.digests import Sample
from p4switch.server.service import Server
from p4switch.server.tls import TlsFiles

LOG = logging.getLogger(__name__)

INJECT_TIMEOUT_S = 10.0


class Switch:
    """One embedded switch. It can run in any process, with interfaces (root) or without.

    program is BMv2 JSON to run from the start; clients still push P4Info with a pipeline before
    they write. With p4info too, the switch starts as if a client had pushed both.
    grpc_address "127.0.0.1:0" takes a free port, which `grpc_port` then names.
    """

    def __init__(
        self,
        device_id: int = 1,
        grpc_address: str = "127.0.0.1:9559",
        *,
        ports: Mapping[int, str] | None = None,
        program: bytes | None = None,
        p4info: p4i.P4Info | None = None,
        cpu_port: int | None = None,
        drop_port: int = 511,
        tls: TlsFiles | None = None,
    ) -> None:
        """SwitchError names what is wrong with the program, a port, a file or the address."""
        self._drop_port = drop_port
        self._cpu_port = cpu_port
        self.pipeline: Pipeline | None = None
        """What packets run through now."""
        self.device = Device(
            device_id,
            cpu_port=cpu_port,
            make_pipeline=self._make_pipeline,
            install=self._install,
            inject=self._inject_cpu,
        )
        credentials = tls.credentials() if tls is not None else None
        self._loop = PacketLoop(
            dict(ports or {}),
            None,
            self.device.now_us,
            cpu_port=cpu_port,
            on_cpu=self.device.packet_in,
            on_port_status=self._link_changed,
        )
        try:
            self._server = Server(self.device, grpc_address, credentials)
            if program is not None and p4info is not None:
                config = p4r.ForwardingPipelineConfig(p4info=p4info, p4_device_config=program)
                self.device.commit(self.device.make_forwarding(config))
            elif program is not None:
                self._install(self._make_pipeline(program, None))
        except BaseException:
            self._loop.stop()
            raise
        self.grpc_port = self._server.port
        host = grpc_address.rpartition(":")[0]
        self.grpc_address = f"{host}:{self.grpc_port}"

    def start(self) -> Switch:
        """Process packets and accept clients."""
        self._loop.start()
        self._server.start()
        return self

    def stop(self) -> None:
        """End all sessions, the packet thread and the ports."""
        self._server.stop()
        self.device.stop()
        self._loop.stop()

    def __enter__(self) -> Switch:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def inject(self, port: int, packet: bytes) -> Outputs:
        """Run a packet as if it came in on `port`: [(egress port, packet)].

        The outputs also go where they belong: to interfaces, and to the primary as packet-ins.
        """
        result: Future[Outputs] = Future()
        self._loop.inject(port, packet, result)
        return result.result(timeout=INJECT_TIMEOUT_S)

    def port_stats(self) -> dict[int, PortStats]:
        """Counts per port."""
        return {number: port.stats() for number, port in self._loop.ports.items()}

    def set_port_status(self, port: int, up: bool) -> None:
        """Take the slots that watch this port out of every choice, or back into it."""
        with self.device.write_lock:
            if self.pipeline is not None:
                self.pipeline.set_port_status(port, up)

    def _make_pipeline(
        self, program: bytes, on_digest: Callable[[str, list[Sample]], None] | None
    ) -> Pipeline:
        return Pipeline(
            program, cpu_port=self._cpu_port, drop_port=self._drop_port, on_digest=on_digest
        )

    def _install(self, pipeline: Pipeline) -> None:
        for number, port in self._loop.ports.items():
            if not port.is_up:
                pipeline.set_port_status(number, False)
        self.pipeline = pipeline
        self._loop.install(pipeline)

    def _inject_cpu(self, packet: bytes) -> None:
        assert self._cpu_port is not None
        self._loop.inject(self._cpu_port, packet)

    def _link_changed(self, port: int) -> None:
        # A thread of its own: the packet thread must not wait for a write in progress. It applies
        # what holds when its turn comes, so that a link that flaps ends in the right state.
        def apply() -> None:
            with self.device.write_lock:
                self.set_port_status(port, self._loop.ports[port].is_up)

        threading.Thread(target=apply, name=f"link-{port}", daemon=True).start()
