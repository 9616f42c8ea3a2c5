"""Decides what drives before one camera: sightings become tracks, tracks are counted.

In come a frame and its scene (`motion.py`); out go the tracks. Objects are seen by their movement
(`blobs.py`) and, where a model is given, by a neural network (`network.py`) as well. Tracks that
are over teach the camera's `View`, which may be given, learnt before.
"""

from __future__ import annotations

from typing import Protocol

from causeway.events import AnyEvent
from causeway.frame import Frame
from detectors.blobs import fused, sightings
from detectors.counting import Counting
from detectors.motion import Scene
from detectors.network import Network
from detectors.queueing import Queueing
from detectors.standing import Standing
from detectors.steady import unshifted
from detectors.tracks import Track, Tracks
from detectors.view import View
from detectors.walking import Walking
from detectors.wrong_way import WrongWay

LEARNT_TRACKS = 100  # before a camera's own view is used: 20 a lane of a road of five


class _Machine(Protocol):
    def see(self, tracks: list[Track], view: View, scene: Scene) -> list[AnyEvent]: ...

    def lose(self, at_ns: int, why: str) -> list[AnyEvent]: ...


class Traffic:
    """Tracks and counts of one camera. `view` is used, `learning` is what it learns meanwhile."""

    def __init__(
        self, camera: str, view: View | None = None, network: Network | None = None
    ) -> None:
        self.view = view
        self.learning: View | None = None
        self.tracks = Tracks(view.expected) if view is not None else Tracks()
        self.counting = Counting()
        self._network = network
        # What moves is told from what stands by movement alone; what it is, only by a network.
        self._machines: tuple[_Machine, ...] = (WrongWay(camera),)
        if network is not None:
            self._machines += (Standing(camera), Walking(camera), Queueing(camera))

    def see(self, frame: Frame, scene: Scene) -> list[AnyEvent]:
        """Incidents that begin and end; `tracks.live` are what drives there."""
        if self.learning is None:
            self.learning = View(*scene.road.shape)
        found = sightings(scene, self.view)
        if self._network is not None:
            seen = self._network.sightings(frame, scene.scale, self.view)
            found = fused(found, [unshifted(s, scene.shift) for s in seen], scene, self.view)
        tracks = self.tracks.see(found, scene.at_ns)
        events: list[AnyEvent] = []
        for track in self.tracks.ended:
            self.learning.learn(track)
        if self.view is None and self.learning.learnt >= LEARNT_TRACKS:
            self.view = self.learning
            self.tracks.expected = self.view.expected
        if self.view is not None:
            self.counting.see([*tracks, *self.tracks.ended], self.view)
            for machine in self._machines:
                events += machine.see(tracks, self.view, scene)
        return events

    def lose(self, at_ns: int, why: str) -> list[AnyEvent]:
        """End what is open: the camera can no longer be believed."""
        self.tracks = Tracks(self.tracks.expected)
        events: list[AnyEvent] = []
        for machine in self._machines:
            events += machine.lose(at_ns, why)
        return events

    def learnt(self) -> View | None:
        """What it has learnt, with the tracks that still live; ends it."""
        if self.learning is not None:
            for track in self.tracks.live:
                self.learning.learn(track)
        return self.learning
