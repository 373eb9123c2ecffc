"""SetForwardingPipelineConfig and GetForwardingPipelineConfig."""

from __future__ import annotations

import logging

from finsy.proto import p4r, rpc_code

from p4switch.errors import SwitchError
from p4switch.server.device import Device, Forwarding
from p4switch.server.reconcile import carry_over
from p4switch.server.status import RpcError

LOG = logging.getLogger(__name__)

_Set = p4r.SetForwardingPipelineConfigRequest
_Get = p4r.GetForwardingPipelineConfigRequest


def set_config(device: Device, request: p4r.SetForwardingPipelineConfigRequest) -> None:
    """Do the action; RpcError leaves the switch with the pipeline that it had.

    Call it with the write lock held and the client checked.
    """
    action = request.action
    if action == _Set.COMMIT:
        _commit_saved(device, request)
        return
    if action not in (
        _Set.VERIFY,
        _Set.VERIFY_AND_SAVE,
        _Set.VERIFY_AND_COMMIT,
        _Set.RECONCILE_AND_COMMIT,
    ):
        raise RpcError(rpc_code.INVALID_ARGUMENT, "Invalid SetForwardingPipeline action")
    if not request.HasField("config"):
        raise RpcError(rpc_code.INVALID_ARGUMENT, "config is missing; send P4Info and BMv2 JSON")
    if action == _Set.RECONCILE_AND_COMMIT and _is_same(device, request.config):
        device.forwarding().config.CopyFrom(request.config)  # the cookie may be new
        return
    forwarding = device.make_forwarding(request.config)
    if action == _Set.VERIFY:
        return
    if action == _Set.VERIFY_AND_SAVE:
        device.save(forwarding)
        return
    if action == _Set.RECONCILE_AND_COMMIT and device.running is not None:
        try:
            carry_over(device.running, forwarding)
        except SwitchError as error:
            raise RpcError(
                rpc_code.INVALID_ARGUMENT,
                f"the forwarding state does not fit the new program: {error}; delete it first, "
                "or use VERIFY_AND_COMMIT, which clears it",
            ) from error
    device.commit(forwarding)
    LOG.info("pipeline committed: %d tables", len(forwarding.pipeline.tables))


def _commit_saved(device: Device, request: p4r.SetForwardingPipelineConfigRequest) -> None:
    if request.HasField("config"):
        raise RpcError(
            rpc_code.INVALID_ARGUMENT,
            "COMMIT takes no config: it commits the saved one; use VERIFY_AND_COMMIT for a new one",
        )
    if device.control is None or device.control is device.running:
        raise RpcError(
            rpc_code.NOT_FOUND, "no saved config to commit; use VERIFY_AND_SAVE before COMMIT"
        )
    device.commit(device.control)
    LOG.info("saved pipeline committed")


def _is_same(device: Device, config: p4r.ForwardingPipelineConfig) -> bool:
    running: Forwarding | None = device.running
    return (
        running is not None
        and running is device.control
        and running.config.p4_device_config == config.p4_device_config
        and running.config.p4info == config.p4info
    )


def get_config(
    device: Device, request: p4r.GetForwardingPipelineConfigRequest
) -> p4r.GetForwardingPipelineConfigResponse:
    """The parts that response_type asks for; the cookie always, when one was given."""
    kind = request.response_type
    if kind not in _Get.ResponseType.values():
        raise RpcError(
            rpc_code.INVALID_ARGUMENT,
            "Invalid response_type in GetForwardingPipelineConfigRequest",
        )
    config = device.forwarding().config
    response = p4r.GetForwardingPipelineConfigResponse()
    if kind in (_Get.ALL, _Get.P4INFO_AND_COOKIE):
        response.config.p4info.CopyFrom(config.p4info)
    if kind in (_Get.ALL, _Get.DEVICE_CONFIG_AND_COOKIE):
        response.config.p4_device_config = config.p4_device_config
    if config.HasField("cookie"):
        response.config.cookie.CopyFrom(config.cookie)
    return response
