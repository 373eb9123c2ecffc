"""The store's section of a configuration, and commands that need no server."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.config import ConfigError, load, parse
from harness.yaml_fabric import FABRIC_YAML


def refused(section: str) -> str:
    with pytest.raises(ConfigError) as error:
        parse(f"store: {section}\n{FABRIC_YAML}")
    return str(error.value)


def test_without_influxdb_the_store_is_embedded() -> None:
    assert parse(FABRIC_YAML).store.influxdb is None


def test_files_are_relative_to_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "fabric.yaml"
    (tmp_path / "token").write_text("t")
    file.write_text(
        f"store: {{influxdb: {{url: 'http://127.0.0.1:8086/', token_file: token}}}}\n{FABRIC_YAML}"
    )
    influxdb = load(file, check_files=False).store.influxdb
    assert influxdb is not None
    assert influxdb.url == "http://127.0.0.1:8086"
    assert influxdb.token_file == str(tmp_path / "token")
    assert influxdb.spool == str(tmp_path / "umbra-spool")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{influxdb: {url: '127.0.0.1:8086'}}", "http://host:port"),
        ("{influxdb: {url: 'http://me:secret@127.0.0.1:8086'}}", "without name or password"),
        ("{influxdb: {url: 'http://influx.example:8086', token_file: t}}", "in clear"),
        ("{influxdb: {url: 'http://127.0.0.1:8086', password_file: p}}", "add a username"),
        ("{retention_s: 600.0, influxdb: {url: 'http://127.0.0.1:8086'}}", "after an hour"),
        ("{influxdb: {url: 'http://127.0.0.1:8086', tokenfile: p}}", "token_file"),
        ("{retention_of_s: {device: 600.0}}", "there is no measurement device"),
        ("{retention_of_s: {devices: 1.0}}", "60"),
        (
            "{retention_of_s: {devices: 900000.0}, influxdb: {url: 'http://127.0.0.1:8086'}}",
            "InfluxDB forgets devices with its bucket after 604800 s",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(section: str, said: str) -> None:
    assert said in refused(section)


def test_the_schema_can_be_listed_without_a_store() -> None:
    result = CliRunner().invoke(app, ["store", "schema"])
    assert result.exit_code == 0
    assert "demand" in result.stdout
    assert "routers x horizons" in result.stdout


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.db")
    result = CliRunner().invoke(app, ["store", "export", "--from", missing, str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "missing.db" in result.output
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_folder_without_files_is_named(tmp_path: Path) -> None:
    target = str(tmp_path / "new.db")
    result = CliRunner().invoke(app, ["store", "import", "--to", target, str(tmp_path)])
    assert result.exit_code == 1
    assert "parquet" in result.output
