"""What requests were: by service, size, source and destination."""

from __future__ import annotations

import math

import pytest

from controller.model import NodeCounters, SampledConnection, ServiceCounters
from controller.model.resources import RequestClass
from controller.observe.request_classes import RequestClasses, size_class

START_S = 1_700_000_000.0


def reading(second: float, **services: tuple[int, int, int]) -> NodeCounters:
    """Of r1: service s1, s2, … → (opened, refused, bytes)."""
    return NodeCounters(
        "r1",
        START_S + second,
        {
            int(name[1:]): ServiceCounters(opened=opened, refused=refused, bytes=size)
            for name, (opened, refused, size) in services.items()
        },
    )


def digest(client: str, binding: int, service: int = 1, node: str = "r1") -> SampledConnection:
    """One of the new connections."""
    return SampledConnection(node, START_S, client, "10.100.0.1", 6, 4000, 80, service, binding)


def classes(most_pairs: int = 8) -> RequestClasses:
    """Of two services."""
    return RequestClasses({1: "web", 2: "mail"}, {401: "b1", 402: "b2"}, most_pairs)


def test_the_rate_is_divided_by_source_and_destination() -> None:
    own = classes()
    own.update([reading(0, s1=(100, 0, 0))], [])
    told = [digest("10.1.1.7", 401)] * 3 + [digest("10.1.2.9", 402)]
    found = own.update([reading(2, s1=(130, 10, 40 * 2048))], told)
    assert found["r1"] == {
        RequestClass("web", "<4KiB", "10.1.1.0/24", "b1"): pytest.approx(15.0),
        RequestClass("web", "<4KiB", "10.1.2.0/24", "b2"): pytest.approx(5.0),
    }


def test_the_first_reading_tells_nothing() -> None:
    assert classes().update([reading(0, s1=(100, 0, 0))], []) == {}


def test_without_digests_service_and_size_are_known() -> None:
    own = classes()
    own.update([reading(0, s2=(0, 0, 0))], [])
    found = own.update([reading(1, s2=(5, 0, 500))], [])
    assert found["r1"] == {RequestClass("mail", "<1KiB"): 5.0}


def test_past_digests_divide_what_comes_later() -> None:
    own = classes()
    own.update([reading(0, s1=(0, 0, 0))], [digest("10.1.1.7", 401)])
    own.update([reading(1, s1=(0, 0, 0))], [digest("10.1.1.7", 401)])
    found = own.update([reading(2, s1=(4, 0, 0))], [])
    assert found["r1"] == {RequestClass("web", "<1KiB", "10.1.1.0/24", "b1"): 4.0}


def test_what_is_not_among_the_heaviest_is_other_and_no_request_is_lost() -> None:
    own = classes(most_pairs=2)
    own.update([reading(0, s1=(0, 0, 0))], [])
    told = [digest(f"10.1.{subnet}.1", 401) for subnet in range(8) for _ in range(subnet + 1)]
    found = own.update([reading(1, s1=(360, 0, 0))], told)["r1"]
    assert {(one.source, one.destination) for one in found} == {
        ("10.1.7.0/24", "b1"),
        ("10.1.6.0/24", "b1"),
        ("other", "other"),
    }
    assert sum(found.values()) == pytest.approx(360.0)


def test_digests_that_come_between_readings_count() -> None:
    own = classes()
    own.update([reading(0, s1=(0, 0, 0))], [])
    own.update([reading(0, s1=(0, 0, 0))], [digest("10.1.1.7", 401)])
    own.update([], [digest("10.1.2.9", 402)])
    found = own.update([reading(1, s1=(6, 0, 0))], [])
    assert found["r1"] == {
        RequestClass("web", "<1KiB", "10.1.1.0/24", "b1"): pytest.approx(3.0),
        RequestClass("web", "<1KiB", "10.1.2.0/24", "b2"): pytest.approx(3.0),
    }


def test_a_flood_of_sources_is_bounded_and_does_not_hide_the_heaviest() -> None:
    own = classes(most_pairs=2)
    own.update([reading(0, s1=(0, 0, 0))], [])
    flood = [digest(f"10.{n // 200}.{n % 200}.1", 401) for n in range(1000)]
    for turn in range(20):
        own.update([], [digest("10.200.1.1", 402)] * 50 + flood[turn * 50 : turn * 50 + 50])
    found = own.update([reading(1, s1=(2000, 0, 0))], [])["r1"]
    shares = {one.source: per_s for one, per_s in found.items()}
    assert len(found) == 3
    assert shares["10.200.1.0/24"] == pytest.approx(1000.0)
    assert sum(shares.values()) == pytest.approx(2000.0)
    assert all(len(one.pairs.weights) <= 8 for one in own._seen.values())


def test_digests_of_long_ago_divide_nothing() -> None:
    own = classes()
    own.update([reading(0, s1=(0, 0, 0))], [digest("10.1.1.7", 401)])
    found = own.update([reading(3600, s1=(3600, 0, 0))], [])
    assert found["r1"] == {RequestClass("web", "<1KiB"): 1.0}


def test_a_switch_that_started_anew_has_what_it_counts_since() -> None:
    own = classes()
    own.update([reading(0, s1=(1000, 5, 1 << 30))], [])
    found = own.update([reading(1, s1=(7, 0, 700))], [])
    assert sum(found["r1"].values()) == 7.0


def test_a_reading_that_is_not_newer_tells_nothing() -> None:
    own = classes()
    own.update([reading(1, s1=(10, 0, 0))], [])
    assert own.update([reading(1, s1=(20, 0, 0))], []) == {}


@pytest.mark.parametrize(
    ("mean_bytes", "name"),
    [
        (math.nan, ""),
        (0, "<1KiB"),
        (1024, "<4KiB"),
        (5000, "<16KiB"),
        (2**20 - 1, "<1MiB"),
        (2**20, ">=1MiB"),
    ],
)
def test_sizes_have_classes(mean_bytes: float, name: str) -> None:
    assert size_class(mean_bytes) == name
