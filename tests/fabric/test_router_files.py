"""Configuration files of real routers, judged by their own programs."""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from controller.act.router_files import (
    Kind,
    Neighbour,
    RouterFileError,
    RouterSettings,
    Umbra,
    check,
    render,
    write,
)
from controller.model.bgp import Advertisement
from topologies.servers.real_routers import missing

SETTINGS = RouterSettings(
    name="border",
    router_id="192.0.2.1",
    local_as=65001,
    pools=("10.50.0.0/16", "2001:db8:50::/44"),
    community_as=65000,
    umbra=Umbra("10.9.0.1", 65000, password="between-us"),
    shards=(
        Advertisement("10.50.1.0/26", "10.1.1.1", local_pref=200),
        Advertisement("10.50.2.0/26", "10.1.1.1", local_pref=0),
        Advertisement("2001:db8:50:1::/64", "2001:db8:1::1", local_pref=150),
    ),
    neighbours=(Neighbour("core", "10.8.0.2", 65002),),
)
VARIANTS = {
    "all": SETTINGS,
    "session only": replace(SETTINGS, shards=(), neighbours=()),
    "file only": replace(SETTINGS, umbra=None),
    "nothing yet": replace(SETTINGS, umbra=None, shards=(), neighbours=()),
    "IPv4 only": replace(SETTINGS, pools=("10.50.0.0/16",), shards=SETTINGS.shards[:2]),
    "IPv6 only": replace(SETTINGS, pools=("2001:db8:50::/44",), shards=SETTINGS.shards[2:]),
    "one address": replace(SETTINGS, pools=("10.50.1.1/32",), shards=()),
    "internal": replace(SETTINGS, local_as=65000),
    "three hops away": replace(SETTINGS, umbra=Umbra("10.9.0.1", 65000, hops=3)),
    "no TTL security": replace(
        SETTINGS, umbra=Umbra("10.9.0.1", 65000, ttl_security=False, hops=2)
    ),
    "AS number of 32 bits": replace(SETTINGS, local_as=4200000000),
}


@pytest.fixture(autouse=True)
def programs() -> None:
    """The checkers are installed."""
    reason = missing()
    assert reason is None, reason


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_program_accepts_what_is_rendered(kind: Kind, variant: str, tmp_path: Path) -> None:
    path = tmp_path / "router.conf"
    assert write(kind, render(kind, VARIANTS[variant]), path)
    check(kind, path)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_same_again_leaves_the_file_alone(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "router.conf"
    text = render(kind, SETTINGS)
    assert write(kind, text, path)
    before = path.stat()
    assert not write(kind, text, path)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("kind", list(Kind))
def test_what_the_program_refuses_never_reaches_its_file(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "router.conf"
    good = render(kind, SETTINGS)
    write(kind, good, path)
    with pytest.raises(RouterFileError, match=r"router\.conf: .* refuses it"):
        write(kind, good.replace("10.50.1.0/26", "10.50.1.0/126"), path)
    assert path.read_text() == good
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", list(Kind))
def test_no_password_is_told_when_its_line_is_wrong(kind: Kind, tmp_path: Path) -> None:
    text = render(kind, SETTINGS).replace("password", "passwort password")
    with pytest.raises(RouterFileError) as error:
        write(kind, text, tmp_path / "router.conf")
    assert "between-us" not in str(error.value)


def test_only_its_owner_and_group_can_read_a_new_file_and_an_old_ones_mode_is_kept(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bird.conf"
    write(Kind.BIRD, render(Kind.BIRD, SETTINGS), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    os.chown(path, 65534, 65534)
    write(Kind.BIRD, render(Kind.BIRD, VARIANTS["file only"]), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "bird.conf"
    texts = [render(Kind.BIRD, VARIANTS[name]) for name in ("all", "file only")]
    write(Kind.BIRD, texts[0], path)
    over, seen = threading.Event(), set()

    def read() -> None:
        while not over.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(20):
        write(Kind.BIRD, texts[turn % 2], path)
    over.set()
    reader.join()
    assert seen <= set(texts)
    assert len(seen) == 2


def test_an_operators_own_template_is_used(tmp_path: Path) -> None:
    own = tmp_path / "own.j2"
    own.write_text("router id {{ router.router_id }};\nprotocol device {\n}\n")
    text = render(Kind.BIRD, SETTINGS, template=own)
    assert text.startswith("router id 192.0.2.1;")
    write(Kind.BIRD, text, tmp_path / "bird.conf")
    own.write_text("router id {{ router.rooter_id }};\n")
    with pytest.raises(RouterFileError, match="rooter_id"):
        render(Kind.BIRD, SETTINGS, template=own)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "border\nlog stdout"}, "a name has"),
        ({"umbra": Umbra("10.9.0.1", 65000, password='a" }')}, "a password in"),
        ({"umbra": Umbra("10.9.0.1;", 65000)}, "10.9.0.1;"),
        ({"pools": ("10.50.0.1/16",)}, "host bits"),
        ({"shards": (Advertisement("10.60.0.0/26", "10.1.1.1"),)}, "in none of its pools"),
        ({"neighbours": (Neighbour("a b", "10.8.0.2", 65002),)}, "a name has"),
        ({"local_as": 0}, "AS numbers"),
    ],
)
def test_settings_that_would_write_something_else_are_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(RouterFileError, match=message):
        replace(SETTINGS, **changes)  # type: ignore[arg-type]


def test_a_missing_checker_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RouterFileError, match="apt-get install bird2"):
        write(Kind.BIRD, "router id 192.0.2.1;\n", tmp_path / "bird.conf")
    assert list(tmp_path.iterdir()) == []
