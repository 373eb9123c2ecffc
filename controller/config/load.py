"""File → Config, and back."""

from __future__ import annotations

import difflib
import time
from pathlib import Path as FilePath
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from controller.config import (
    addressing_files,
    calendars,
    checks,
    destinations_files,
    lines,
    resource_checks,
)
from controller.config.errors import ConfigError, Path, Problem
from controller.config.missing_files import missing_files
from controller.config.sections import Config

_FILES: tuple[Path, ...] = (
    ("store", "path"),
    ("audit", "path"),
    ("audit", "anchor_file"),
    ("api", "token_file"),
    ("p4", "json"),
    ("p4", "p4info"),
)
_TLS_FILES = ("ca_file", "cert_file", "key_file")


def load(path: str | FilePath, *, check_files: bool = True) -> Config:
    """Read, check and freeze a configuration file.

    Relative file names inside are resolved against the directory of the file. `check_files`: also
    see that the files it names for reading exist, and that its calendars can be used. Raises
    ConfigError with everything that is wrong.
    """
    file = FilePath(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        what = f"the configuration cannot be read: {error.strerror or error}"
        raise ConfigError(
            str(path), [Problem((), what, "name a file that exists and is readable")]
        ) from error
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is not UTF-8"
        raise ConfigError(str(path), [Problem((), what, "save the file as UTF-8")]) from error
    return parse(text, file=str(path), base=file.resolve().parent, check_files=check_files)


def parse(
    text: str,
    *,
    file: str = "configuration",
    base: FilePath | None = None,
    check_files: bool = False,
) -> Config:
    """As `load`, from text. `base`: directory for relative file names (None: leave them)."""
    raw, where = lines.read(text, file)
    if not isinstance(raw, dict):
        problem = Problem((), "there are no keys in it", "start with `umbra: 1`", 1)
        raise ConfigError(file, [problem])
    if base is not None:
        _resolve(raw, base)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors()]
        raise _error(file, problems, where) from None
    problems = checks.check(config)
    if check_files:
        problems += missing_files(config)
        problems += calendars.problems(config, time.time())
    if problems:
        raise _error(file, problems, where)
    return config


def dump(config: Config) -> str:
    """YAML that `load` reads back as the same configuration; what is at its default is left out."""
    plain = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=200)


def _error(file: str, problems: list[Problem], where: dict[Path, int]) -> ConfigError:
    placed = [
        Problem(p.path, p.what, p.remedy, p.line or lines.line_of(p.path, where)) for p in problems
    ]
    return ConfigError(file, sorted(placed, key=lambda problem: problem.line))


def _resolve(raw: dict[str, Any], base: FilePath) -> None:
    def absolute(holder: Any, key: str) -> None:
        if isinstance(holder, dict) and isinstance(holder.get(key), str) and holder[key]:
            holder[key] = str(base / FilePath(holder[key]).expanduser())

    for section, name in _FILES:
        absolute(raw.get(str(section)), str(name))
    store = raw.get("store")
    if isinstance(store, dict) and isinstance(store.get("influxdb"), dict):
        store["influxdb"].setdefault("spool", "umbra-spool")
        for name in ("spool", "token_file", "password_file", "ca_file"):
            absolute(store["influxdb"], name)
    for name, default in (("store", "umbra.db"), ("audit", "umbra-audit.jsonl")):
        section = raw.setdefault(name, {})
        if isinstance(section, dict) and "path" not in section:
            section["path"] = str(base / default)
    forecast = raw.setdefault("forecast", {})
    if isinstance(forecast, dict):
        models = forecast.setdefault("models", {})
        if isinstance(models, dict):
            models.setdefault("path", "umbra-models")
        absolute(models, "path")
        named = forecast.get("calendars")
        if isinstance(named, list):
            forecast["calendars"] = [
                str(base / FilePath(one).expanduser()) if isinstance(one, str) and one else one
                for one in named
            ]
    addressing_files.resolve(raw.get("addresses"), base)
    destinations_files.resolve(raw.get("destinations"), base)
    resource_checks.resolve(raw.get("resources"), base)
    switches = raw.get("switches")
    for switch in switches if isinstance(switches, list) else ():
        if isinstance(switch, dict):
            for name in _TLS_FILES:
                absolute(switch.get("tls"), name)
            for name in ("json", "p4info"):
                absolute(switch.get("p4"), name)


def _problem(detail: Any) -> Problem:
    """One of pydantic's errors in our words."""
    path: Path = detail["loc"]
    kind, context, given = detail["type"], detail.get("ctx", {}), detail.get("input")
    if kind == "extra_forbidden":
        known = _keys(path[:-1])
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        remedy = f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(known)}"
        return Problem(path, "unknown key", remedy)
    if kind == "missing":
        return Problem(path, "this key is missing", "add it")
    if kind == "value_error":
        return Problem(path, f"{given!r} does not fit", str(context["error"]))
    if kind == "string_pattern_mismatch":
        remedy = "use letters, digits, `_`, `.` and `-`, at most 63, the first a letter or digit"
        return Problem(path, f"{given!r} is no name", remedy)
    shown = repr(given) if not isinstance(given, dict | list) else "what is written here"
    message = str(detail["msg"]).removeprefix("Input should be ").removeprefix("a valid ")
    return Problem(path, f"{shown} does not fit", f"it should be: {message}")


def _keys(path: Path) -> list[str]:
    """The keys that the section at `path` knows."""
    kind: Any = Config
    for part in path:
        kind = _element(kind) if isinstance(part, int) else _field(kind, part)
    section = _section(kind)
    if section is None:
        return []
    return [field.alias or name for name, field in section.model_fields.items()]


def _field(kind: Any, name: str) -> Any:
    section = _section(kind)
    if section is None:
        return None
    for own, field in section.model_fields.items():
        if name in (own, field.alias):
            return field.annotation
    return None


def _element(kind: Any) -> Any:
    arguments = get_args(kind)
    return arguments[0] if arguments else None


def _section(kind: Any) -> type[BaseModel] | None:
    for candidate in (kind, *get_args(kind)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
