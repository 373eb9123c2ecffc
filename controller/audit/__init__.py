"""The audit log: every decision, only ever appended, each line chained to the one before (docs/audit.md)."""

from __future__ import annotations

from controller.audit.log import TROUBLE, AuditLog, record
from controller.audit.settings import AuditSettings, Sync

__all__ = ["TROUBLE", "AuditLog", "AuditSettings", "Sync", "record"]
