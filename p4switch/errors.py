"""What can go wrong in the switch, named so that a P4Runtime server can map each to a status code."""


class SwitchError(Exception):
    """Base of every error that the switch raises on purpose."""


class Unsupported(SwitchError):
    """The program uses something that the switch does not implement; the message names it."""


class AlreadyExists(SwitchError):
    """An insert met an object with the same key."""


class NotFound(SwitchError):
    """The named object, or an object that it refers to, does not exist."""


class InvalidArgument(SwitchError):
    """A value does not fit what the program declares (widths, kinds, parameters, indexes)."""


class ResourceExhausted(SwitchError):
    """The table, profile or group is full."""


class PermissionDenied(SwitchError):
    """The object is constant in the program."""


class FailedPrecondition(SwitchError):
    """The object is in use, or the program does not offer the operation on it."""
