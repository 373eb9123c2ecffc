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

    def freeze(self, router: str | None = None) -> None:
        """Leave the shares of one router, or of all, as they are."""

    def unfreeze(self, router: str | None = None) -> None:
        """Undo freeze."""

    def manual_weight(self, router: str, shift_pct: int | None) -> None:
        """Set a router's shift by hand; None gives it back to the planner."""
