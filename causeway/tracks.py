"""What a junction's roadside tracker (radar or camera) saw in one second. Never journalled.

A `Tracks` is live raw data as a picture is: the newest counts, an older one is dropped. What is
decided from it enters the engine as an event of its own (`StagesPlanned`, `SignalsMeasured`). Rows
are arrays on the wire, in the order of their fields (docs/INTERFACES.md).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

VehicleClass = Literal["motorbike", "car", "bus", "truck", "emergency", "works"]
VEHICLES_MAX = 1_000  # of one junction; more than 250 m of four approaches hold
NAME_MAX = 64

Name = Annotated[str, Meta(min_length=1, max_length=NAME_MAX)]
Metres = Annotated[float, Meta(ge=0, le=10_000)]
MetresPerSecond = Annotated[float, Meta(ge=0, le=100)]
Count = Annotated[int, Meta(ge=0, le=10_000)]


class TrackedVehicle(Struct, frozen=True, array_like=True):
    """A vehicle on its way to the stop line. `lane` counts from 1 at the kerb."""

    track: Name
    segment: Name
    lane: Annotated[int, Meta(ge=1, le=16)]
    distance_m: Metres  # from its front to the stop line
    speed_m_s: MetresPerSecond
    kind: VehicleClass


class TrackedCrossing(Struct, frozen=True, array_like=True):
    """A vehicle that has just gone over the junction, from one segment into another."""

    track: Name
    from_segment: Name
    to_segment: Name


class TrackedExit(Struct, frozen=True, array_like=True):
    """The road behind the junction, as far as it is seen, all its lanes together.

    `entered` have come onto it since the last message.
    """

    segment: Name
    counts: dict[VehicleClass, Count]
    free_m: Metres  # from its start to the tail of the last vehicle
    last_speed_m_s: MetresPerSecond
    standing: Count
    entered: Count = 0


class Tracks(Struct, frozen=True, tag=True):
    """One second of one junction."""

    junction: str
    observed_at_ns: int
    vehicles: tuple[TrackedVehicle, ...]
    crossings: tuple[TrackedCrossing, ...]
    exits: tuple[TrackedExit, ...]
