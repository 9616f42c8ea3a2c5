"""Decides which streets drain together: by the outlet that each one's water comes to.

In comes a site; out come its drainage basins. From a street's node the network is walked downstream
to the nearest outlet: a pumping station, a tide gate, an outfall, or where the network ends. A
canal's storages on the way are none: what matters is what can be operated, or the river. An
imported SWMM project has its pumps among the conduits: there a pump's node is the outlet. The
site's `[[basin]]` entries name basins, and join several outlets to one.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from causeway.site import Site


class DrainageBasin(NamedTuple):
    """Streets with one outlet, or with outlets that the site takes together."""

    id: str
    name: str
    streets: tuple[str, ...]


def basins_of(site: Site) -> tuple[DrainageBasin, ...]:
    """The basins that have streets, in their order; a street without an outlet is in none."""
    outlets = {n.id: n.id for n in site.nodes if n.kind == "outfall"}
    outlets |= {c.from_node: c.from_node for c in site.conduits if c.kind == "pump"}
    outlets |= {gate.node: gate.id for gate in site.gates if gate.node}
    outlets |= {station.node: station.id for station in site.stations if station.node}
    down: dict[str, list[str]] = {}
    for conduit in site.conduits:
        down.setdefault(conduit.from_node, []).append(conduit.to_node)
    named = {outlet: basin for basin in site.basins for outlet in basin.outlets}
    names = {gate.id: gate.name for gate in site.gates}
    names |= {station.id: station.name for station in site.stations}
    streets: dict[tuple[str, str], list[str]] = {}
    for segment in site.segments:
        node = None if segment.node is None else _outlet(segment.node, down, outlets)
        if node is not None:
            outlet = outlets.get(node, node)
            basin = named.get(outlet) or named.get(node)
            key = (basin.id, basin.name) if basin else (outlet, names.get(outlet, outlet))
            streets.setdefault(key, []).append(segment.id)
    return tuple(DrainageBasin(*key, tuple(ids)) for key, ids in streets.items())


def _outlet(node: str, down: dict[str, list[str]], outlets: dict[str, str]) -> str | None:
    """The nearest outlet downstream, by the count of reaches; None where water only goes round."""
    seen, waiting = {node}, deque([node])
    while waiting:
        node = waiting.popleft()
        if node in outlets or node not in down:
            return node
        waiting.extend(n for n in dict.fromkeys(down[node]) if n not in seen)
        seen.update(down[node])
    return None
