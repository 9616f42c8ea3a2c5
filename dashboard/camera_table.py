"""Decides what the wall says of each camera: health, traffic, what the detectors have found.

In come the vision workers' events; out go rows of the `cameras` and `incidents` tables, the
camera's row in `sources`, and the congestion of the road that it watches. What a camera measured
is unknown as soon as its picture cannot be believed.
"""

from __future__ import annotations

from typing import ClassVar

from causeway import events as e
from causeway.events import AnyEvent, Now
from causeway.site import Site
from dashboard.chains import NS
from dashboard.congestion import Congestion
from dashboard.tables import Tables

BOXES_MAX = 40
INCIDENTS_MAX = 200
ENDED_SHOWN_S = 600.0


class CameraTable:
    """Cameras and their incidents."""

    hears: ClassVar[tuple[type, ...]] = (
        e.CameraHealthObserved,
        e.TrafficMeasured,
        e.IncidentDetected,
        e.IncidentEnded,
    )

    def __init__(self, site: Site, tables: Tables, congestion: Congestion) -> None:
        self._tables = tables
        self._congestion = congestion
        for camera in site.cameras:
            tables.put("cameras", camera.id, health="unknown", why="", at=0, frame_at=0)
            tables.put("cameras", camera.id, incident="")
            tables.put("cameras", camera.id, occupancy=None, moving=None, boxes=[])

    def take(self, event: AnyEvent, now: Now) -> None:
        """Fold one camera event in."""
        cameras, incidents = self._tables.rows["cameras"], self._tables.rows["incidents"]
        match event:
            case e.CameraHealthObserved() if event.camera in cameras:
                self._health(event, now)
            case e.TrafficMeasured() if event.camera in cameras:
                self._measured(event)
            case e.IncidentDetected() if event.camera in cameras:
                self._detected(event)
            case e.IncidentEnded() if event.incident in incidents:
                self._tables.put("incidents", event.incident, ended=_seconds(event.observed_at_ns))
                self._name_incident(str(incidents[event.incident]["camera"]))
            case _:
                pass

    def forget_ended(self, at: float) -> None:
        """Time has passed: what ended long ago leaves the table."""
        incidents = self._tables.rows["incidents"]
        ended = [
            key
            for key, row in incidents.items()
            if isinstance(row["ended"], float) and at - row["ended"] > ENDED_SHOWN_S
        ]
        for key in ended:
            self._tables.drop("incidents", key)

    def _measured(self, event: e.TrafficMeasured) -> None:
        self._tables.put(
            "cameras",
            event.camera,
            at=_seconds(event.observed_at_ns),
            occupancy=round(event.occupancy_ratio, 3),
            moving=round(event.moving_ratio, 3),
            boxes=[[round(side, 3) for side in box] for box in event.boxes[:BOXES_MAX]],
        )
        self._congestion.seen(event.camera, event.occupancy_ratio, event.moving_ratio)

    def _health(self, event: e.CameraHealthObserved, now: Now) -> None:
        self._tables.put("cameras", event.camera, health=event.health.value, why=event.why)
        state = {e.CameraHealth.LOST: "silent", e.CameraHealth.UNKNOWN: "unknown"}.get(
            event.health, "up"
        )
        at = _seconds(now.at_ns)
        self._tables.put("sources", event.camera, state=state, why=event.why, at=at)
        if event.health is not e.CameraHealth.OK:
            self._tables.put("cameras", event.camera, occupancy=None, moving=None, boxes=[])
            self._congestion.seen(event.camera, None, None)

    def _detected(self, event: e.IncidentDetected) -> None:
        self._tables.put(
            "incidents",
            event.incident,
            kind=event.kind.value,
            camera=event.camera,
            since=_seconds(event.first_seen_at_ns),
            ended=0,
            confidence=round(event.confidence, 2),
            why=event.why,
            box=None if event.box is None else [round(side, 3) for side in event.box],
        )
        incidents = self._tables.rows["incidents"]
        while len(incidents) > INCIDENTS_MAX:
            self._tables.drop("incidents", next(iter(incidents)))
        self._name_incident(event.camera)

    def _name_incident(self, camera: str) -> None:
        kinds = [
            str(row["kind"])
            for row in self._tables.rows["incidents"].values()
            if row["camera"] == camera and not row["ended"]
        ]
        self._tables.put("cameras", camera, incident=kinds[-1] if kinds else "")
        self._congestion.jammed(camera, e.IncidentKind.CONGESTION.value in kinds)


def _seconds(at_ns: int) -> float:
    return round(at_ns / NS, 3)
