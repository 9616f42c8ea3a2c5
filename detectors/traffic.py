"""Decides what drives before one camera: sightings become tracks, tracks are counted.

In come a frame and its scene (`motion.py`); out go the tracks. Objects are seen by their movement
(`blobs.py`) and, where a model is given, by a neural network (`network.py`) as well. Tracks that
are over teach the camera's `View`, which may be given, learnt before.
"""

from __future__ import annotations

from causeway.frame import Frame
from detectors.blobs import fused, sightings
from detectors.counting import Counting
from detectors.motion import Scene
from detectors.network import Network
from detectors.steady import unshifted
from detectors.tracks import Track, Tracks
from detectors.view import View


class Traffic:
    """Tracks and counts of one camera. `view` is used, `learning` is what it learns meanwhile."""

    def __init__(self, view: View | None = None, network: Network | None = None) -> None:
        self.view = view
        self.learning: View | None = None
        self.tracks = Tracks(view.expected) if view is not None else Tracks()
        self.counting = Counting()
        self._network = network

    def see(self, frame: Frame, scene: Scene) -> list[Track]:
        """The tracks that live."""
        if self.learning is None:
            self.learning = View(*scene.road.shape)
        found = sightings(scene, self.view)
        if self._network is not None:
            seen = self._network.sightings(frame, scene.scale, self.view)
            found = fused(found, [unshifted(s, scene.shift) for s in seen], scene)
        tracks = self.tracks.see(found, scene.at_ns)
        for track in self.tracks.ended:
            self.learning.learn(track)
        if self.view is not None:
            self.counting.see([*tracks, *self.tracks.ended], self.view)
        return tracks

    def learnt(self) -> View | None:
        """What it has learnt, with the tracks that still live; ends it."""
        if self.learning is not None:
            for track in self.tracks.live:
                self.learning.learn(track)
        return self.learning
