"""`umbra store` on a real server: set up, copied to, exported, imported."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from controller.cli import app
from controller.store.interface import Query, Rejected
from controller.store.point import Point
from controller.store.rejected import RejectedLines
from controller.store.sqlite import SqliteAdapter
from harness.influx import Influx
from harness.yaml_fabric import FABRIC_YAML
from topologies.servers.influx import TOKEN

NS = 1_000_000_000
START_NS = (int(time.time()) - 3600) * NS


def umbra(*arguments: str | Path, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if "--json" in arguments and not code else result.output


@pytest.fixture
def config(influx: Influx, tmp_path: Path) -> Path:
    section: dict[str, Any] = {"url": influx.url, "database": f"db{time.time_ns()}"}
    if influx.major == 2:
        (tmp_path / "token").write_text(TOKEN + "\n")
        section["token_file"] = "token"
    file = tmp_path / "fabric.yaml"
    file.write_text(yaml.safe_dump({"store": {"influxdb": section}}) + FABRIC_YAML)
    return file


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    file = tmp_path / "old.db"
    with SqliteAdapter(file) as store:
        store.write(
            [
                Point("samples", START_NS + n * NS, (f"r{n % 3}",), (float(n), *[0.5] * 8))
                for n in range(300)
            ]
        )
    return file


def test_a_store_moves_to_a_server_and_by_parquet_back(
    config: Path, filled: Path, tmp_path: Path
) -> None:
    said = umbra("store", "init", config, "--json")
    assert said["done"]
    assert umbra("store", "init", config, "--json")["done"] == []
    for _ in range(2):
        done = umbra("store", "copy", "--from", filled, "--to", config, "--json")
        assert done == {"points": {"samples": 300}, "rejected": 0, "reasons": []}
    assert umbra("store", "schema", config, "--json")["samples"]["series"] == 3
    files = tmp_path / "files"
    assert umbra("store", "export", "--from", config, files, "--json")["points"] == {"samples": 300}
    assert (files / "samples.parquet").is_file()
    back = tmp_path / "back.db"
    assert umbra("store", "import", "--to", back, files, "--json")["points"] == {"samples": 300}
    with SqliteAdapter(back) as new, SqliteAdapter(filled) as old:
        assert new.last("samples") == old.last("samples")
        assert len(new.query(Query("samples"))[0]) == 300


def test_refused_lines_are_shown_and_offered_again(config: Path, tmp_path: Path) -> None:
    umbra("store", "init", config)
    (tmp_path / "umbra-spool").mkdir()
    kept = RejectedLines(tmp_path / "umbra-spool")
    good = f"samples,router=r1 live=1 {START_NS}"
    kept.add([Rejected(good, "it was tired"), Rejected("no line", "it is none")], 1.7e9)
    shown = umbra("store", "rejected", config, "--json")
    assert [one["reason"] for one in shown] == ["it was tired", "it is none"]
    left = umbra("store", "rejected", config, "--again", "--json")
    assert [one["line"] for one in left] == ["no line"]
    assert umbra("store", "schema", config, "--json")["samples"]["series"] == 1


def test_without_its_databases_the_remedy_is_named(config: Path, filled: Path) -> None:
    said = umbra("store", "copy", "--from", filled, "--to", config, code=1)
    assert "umbra store init" in said
