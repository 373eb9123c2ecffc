"""What the API needs of the controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Control(Protocol):
    """The controller as the API sees it, called in the controller's own loop only."""

    dry_run: bool

    def state(self) -> Mapping[str, Any]:
        """A JSON-able snapshot in the shape of `schemas.State`."""

    def decisions(
        self,
        *,
        limit: int,
        router: str | None = None,
        kind: str | None = None,
        since_s: float | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        """The newest decisions at or after `since_s`, newest first (`schemas.DecisionState`)."""

    def shadows(self) -> Sequence[Mapping[str, Any]]:
        """Every router's shadows (`shadow_schemas.AssignmentState`)."""

    def why_shadows(self, router: str) -> Mapping[str, Any]:
        """Why they are (`shadow_schemas.WhyState`); KeyError when there is no such router."""

    def freeze(self, router: str | None = None) -> None:
        """Leave the shares of one router, or of all, as they are."""

    def unfreeze(self, router: str | None = None) -> None:
        """Undo freeze."""

    def drain(self, router: str) -> None:
        """Take a router out of service in order; ValueError, with the remedy, when that cannot be."""

    def undrain(self, router: str) -> None:
        """Put it back into service; ValueError as `drain`."""

    def manual_weight(self, router: str, shift_pct: int | None) -> None:
        """Set a router's shift by hand; None gives it back to the planner."""
