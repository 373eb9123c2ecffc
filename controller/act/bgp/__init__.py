"""Routes to real routers by BGP: os-ken's speaker in a process of its own, and the client that tells it what to say."""

from controller.act.bgp.client import BgpSpeaker, BgpSpeakerError, Change, Held

__all__ = ["BgpSpeaker", "BgpSpeakerError", "Change", "Held"]
