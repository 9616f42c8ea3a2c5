from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from causeway.site import Basin, Conduit, DrainageNode, LonLat, load_site
from control.inundation.basins import DrainageBasin, basins_of

CITY = Path(__file__).parents[3] / "sims" / "cities" / "saigon"
PLACE = LonLat(106.7, 10.77)


@dataclass
class Net:
    """Reaches by their two nodes, and the node of each street."""

    reaches: tuple[tuple[str, str], ...]
    streets: tuple[str | None, str | None] = ("a", "b")
    outfalls: tuple[str, ...] = ()
    pump: tuple[str, str] | None = None


@pytest.fixture
def drained(site):
    def made(net, **tables):
        names = dict.fromkeys(n for reach in (*net.reaches, net.pump or ()) for n in reach)
        nodes = tuple(
            DrainageNode(n, PLACE, 0.0, 2.0, "outfall" if n in net.outfalls else "manhole")
            for n in names
        )
        conduits = [Conduit(f"c{i}", *reach) for i, reach in enumerate(net.reaches)]
        if net.pump:
            conduits.append(Conduit("p", *net.pump, "pump"))
        segments = tuple(
            msgspec.structs.replace(s, node=n)
            for s, n in zip(site.segments, net.streets, strict=True)
        )
        return msgspec.structs.replace(
            site, nodes=nodes, conduits=tuple(conduits), segments=segments, **tables
        )

    return made


def test_streets_that_come_to_one_outfall_are_one_basin(drained):
    site = drained(Net((("a", "m"), ("b", "m"), ("m", "out")), outfalls=("out",)))
    assert basins_of(site) == (DrainageBasin("out", "out", ("rd-1", "rd-2")),)


def test_the_water_of_a_fork_counts_where_it_comes_to_first(drained):
    net = Net((("a", "b"), ("b", "far"), ("far", "one"), ("b", "two")), outfalls=("one", "two"))
    assert [basin.id for basin in basins_of(drained(net))] == ["two"]


def test_a_pumping_station_ends_the_way_and_gives_the_basin_its_name(drained, site):
    stations = tuple(msgspec.structs.replace(s, node="sump") for s in site.stations)
    net = Net((("a", "sump"), ("b", "out"), ("sump", "out")), outfalls=("out",))
    first, second = basins_of(drained(net, stations=stations))
    assert first == DrainageBasin("ps-1", "Nguyễn Hữu Cảnh", ("rd-1",))
    assert second.id == "out"


def test_an_imported_projects_pump_ends_the_way_too(drained):
    net = Net((("a", "sump"), ("b", "out")), outfalls=("out",), pump=("sump", "out"))
    assert [basin.id for basin in basins_of(drained(net))] == ["sump", "out"]


def test_water_that_goes_round_and_a_street_without_a_node_are_in_no_basin(drained):
    net = Net((("a", "m"), ("m", "a")), streets=("a", None))
    assert basins_of(drained(net)) == ()


def test_a_site_names_a_basin_and_joins_its_outlets(drained):
    net = Net((("a", "one"), ("b", "two")), outfalls=("one", "two"))
    basins = (Basin("ba-1", "Ba Son", ("one", "two")),)
    assert basins_of(drained(net, basins=basins)) == (
        DrainageBasin("ba-1", "Ba Son", ("rd-1", "rd-2")),
    )


def test_every_street_of_the_demo_city_is_in_one_named_basin():
    site = load_site(CITY)
    basins = basins_of(site)
    assert sorted(s for b in basins for s in b.streets) == sorted(s.id for s in site.segments)
    assert {b.name for b in basins} == {b.name for b in site.basins}
