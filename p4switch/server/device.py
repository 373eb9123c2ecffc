"""One switch as P4Runtime sees it: its clients, its pipeline configuration, and the way to packets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from finsy.proto import p4r, rpc_code

from p4switch.errors import InvalidArgument, SwitchError
from p4switch.pipeline import Pipeline
from p4switch.server.arbitration import Arbiter
from p4switch.server.digests import Digests, Sample
from p4switch.server.notifier import Notifier
from p4switch.server.p4info import Schema
from p4switch.server.read import Reader
from p4switch.server.status import RpcError
from p4switch.server.write import Writer

PipelineFactory = Callable[[bytes, Callable[[str, list[Sample]], None]], Pipeline]


class Forwarding:
    """One accepted pipeline configuration with everything that serves it."""

    def __init__(
        self,
        config: p4r.ForwardingPipelineConfig,
        make_pipeline: PipelineFactory,
        now_us: Callable[[], int],
        send: Callable[[p4r.StreamMessageResponse], None],
    ) -> None:
        self.config = p4r.ForwardingPipelineConfig()
        self.config.CopyFrom(config)
        self.digests = Digests(send)
        self._notifier: Notifier | None = None
        self.pipeline = make_pipeline(config.p4_device_config, self._on_digest)
        self.schema = Schema(config.p4info, self.pipeline)
        self.digests.bind(self.schema)
        self.initial_defaults = {n: t.default() for n, t in self.pipeline.tables.items()}
        self.notifier = Notifier(self.schema, self.digests, now_us, send)
        self._notifier = self.notifier
        self.writer = Writer(self.schema, self.digests, now_us)
        self.reader = Reader(self.schema, self.digests, now_us)

    def _on_digest(self, name: str, samples: list[Sample]) -> None:
        if self._notifier is not None:
            self._notifier.digest(name, samples)


class Device:
    """Shared by all gRPC calls.

    `make_pipeline` compiles a device config (raises SwitchError), `install` puts a pipeline on the
    packet path, `inject` hands a packet to it as if it came in on the CPU port.
    """

    def __init__(
        self,
        device_id: int,
        *,
        cpu_port: int | None,
        make_pipeline: PipelineFactory,
        install: Callable[[Pipeline], None],
        inject: Callable[[bytes], None],
    ) -> None:
        self.device_id = device_id
        self.cpu_port = cpu_port
        self.make_pipeline = make_pipeline
        self.install = install
        self._inject = inject
        self._start_ns = time.monotonic_ns()
        self.write_lock = threading.RLock()
        self.arbiter = Arbiter(device_id, self.write_lock)
        self.control: Forwarding | None = None
        """What reads and writes refer to; saved but not yet on the packet path after a SAVE."""
        self.running: Forwarding | None = None
        """What packets run through, None before the first commit."""

    def now_us(self) -> int:
        """Microseconds since the switch started: the clock of ingress_global_timestamp."""
        return (time.monotonic_ns() - self._start_ns) // 1000

    def forwarding(self) -> Forwarding:
        """The configuration for reads and writes; FAILED_PRECONDITION before the first one."""
        if self.control is None:
            # finsy recognises this text and pushes its pipeline.
            raise RpcError(
                rpc_code.FAILED_PRECONDITION,
                "No forwarding pipeline config set for this device",
            )
        return self.control

    def check_device(self, device_id: int) -> None:
        """NOT_FOUND for any other device id."""
        if device_id != self.device_id:
            raise RpcError(
                rpc_code.NOT_FOUND,
                f"no device {device_id} here: this switch is device {self.device_id}",
            )

    def send_to_primary(self, message: p4r.StreamMessageResponse) -> None:
        """To the primary only, as BMv2 does; without a primary the message is dropped."""
        primary = self.arbiter.primary
        if primary is not None:
            primary.send(message)

    def packet_in(self, packet: bytes) -> None:
        """From the packet path: a packet left on the CPU port."""
        running = self.running
        if running is not None:
            running.notifier.packet_in(packet)

    def packet_out(self, message: p4r.PacketOut) -> None:
        """From a client; SwitchError or RpcError says why the packet was dropped."""
        running = self.running
        if running is None:
            raise RpcError(
                rpc_code.FAILED_PRECONDITION, "packet-out before a pipeline was committed"
            )
        if self.cpu_port is None:
            raise InvalidArgument(
                "packet-out: the switch has no CPU port; start it with --cpu-port"
            )
        self._inject(running.schema.packet_io.packet_out.join(message))

    def digest_ack(self, message: p4r.DigestListAck) -> None:
        """From the primary."""
        if self.running is not None:
            self.running.digests.ack(message)

    def make_forwarding(self, config: p4r.ForwardingPipelineConfig) -> Forwarding:
        """Compile and check a configuration. INVALID_ARGUMENT with the reason when it fails."""
        try:
            return Forwarding(config, self.make_pipeline, self.now_us, self.send_to_primary)
        except SwitchError as error:
            raise RpcError(rpc_code.INVALID_ARGUMENT, str(error)) from error

    def save(self, forwarding: Forwarding) -> None:
        """Reads and writes refer to it from now on."""
        self.control = forwarding

    def commit(self, forwarding: Forwarding) -> None:
        """Packets run through it from now on."""
        before = self.running
        self.control = forwarding
        if before is forwarding:
            return
        self.install(forwarding.pipeline)
        self.running = forwarding
        forwarding.notifier.start()
        if before is not None:
            before.notifier.stop()

    def stop(self) -> None:
        """End the notifier."""
        if self.running is not None:
            self.running.notifier.stop()
