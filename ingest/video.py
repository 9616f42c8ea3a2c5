"""Talks to video: cameras whose source is a file or an rtsp:// address, decoded in a child process.

`VideoSource` is the centre's side: it starts `causeway decode CAMERA`, takes the framed
`EncodedFrame` messages from the child's output and hands them to `on_frame`. `decoder.py` is the
child.

Laws of this file:
1. Nothing is decoded in the centre's process: some files abort the decoder, and the media is not
   ours.
2. A dead decoder is a broken camera, said once (`CameraHealthObserved`), and started again after a
   pause that grows; a camera is called OK again only when pictures have come for a while.
3. What a decoder says is believed for its own camera only, and for its pictures only.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from causeway.children import CAUSEWAY, Child, Children
from causeway.clock import Clock, clock_spec
from causeway.commands import Put
from causeway.events import CameraHealth, CameraHealthObserved
from causeway.frame import EncodedFrame
from causeway.site import Camera
from causeway.wire import MessageTooLong, decode_frame, read_message

SILENT_S_MAX = 30.0  # of the wall: a decoder that says nothing for so long hangs
SILENT_PICTURES = 3  # or for so many pictures, where these are rarer
EXIT_S_MAX = 5.0
SOUND_S = 30.0  # of the wall: after a crash, pictures for so long make a camera OK again
BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
CANNOT_OPEN = 3  # exit codes of the decoder
STREAM_ENDED = 4
NO_PICTURE = 5
SOURCE = "CAUSEWAY_CAMERA_SOURCE"  # the decoder's environment: the address may have a password

log = logging.getLogger(__name__)


class VideoSource:
    """One camera that the centre decodes itself: a child at work, and what is known of it."""

    def __init__(
        self,
        camera: Camera,
        children: Children,
        clock: Clock,
        on_frame: Callable[[EncodedFrame], None],
        put: Put,
        program: Sequence[str] = (CAUSEWAY,),
    ) -> None:
        self.frames = 0
        self.deaths = 0
        self._camera = camera
        self._children = children
        self._clock = clock
        self._on_frame = on_frame
        self._put = put
        self._health = CameraHealth.UNKNOWN
        self._silent_s = max(SILENT_S_MAX, SILENT_PICTURES / camera.fps / clock.speed)
        self._argv = [
            *program,
            "decode",
            camera.id,
            "--fps",
            f"{camera.fps:g}",
            "--clock",
            clock_spec(clock),
        ]

    async def run(self) -> None:
        """Decode for ever: a decoder that ends is followed by another."""
        loop = asyncio.get_running_loop()
        losses = 0
        while True:
            began_s = loop.time()
            try:
                health, why = await self._decode()
            except OSError as error:  # no room for one more process
                health, why = CameraHealth.BROKEN, f"the decoder cannot be started: {error}"
            self.deaths += 1
            await self._say(health, why)
            losses = 0 if loop.time() - began_s > SOUND_S else losses + 1
            pause_s = BACK_OFF_S[min(max(losses - 1, 0), len(BACK_OFF_S) - 1)]
            log.warning("%s: %s; again in %s s", self._camera.id, why, pause_s)
            await asyncio.sleep(pause_s)

    async def _decode(self) -> tuple[CameraHealth, str]:
        """One decoder, from its start to its end; says how it ended."""
        environment = {**os.environ, SOURCE: self._camera.source}
        child = await self._children.start(
            f"video-{self._camera.id}", self._argv, pipes=True, env=environment
        )
        try:
            fault = await self._take_pictures(child)
        finally:
            await child.stop(EXIT_S_MAX)
        return fault or _why_ended(child.exit_code, self._camera.source)

    async def _take_pictures(self, child: Child) -> tuple[CameraHealth, str] | None:
        """Until the child's output ends; a fault where its exit code cannot tell it."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while True:
            try:
                async with asyncio.timeout(self._silent_s):
                    body = await read_message(child.reader)
                if body is None:
                    await self._await_exit(child)
                    return None
                frame = decode_frame(body)
            except TimeoutError:
                return CameraHealth.LOST, f"no picture for {self._silent_s:.0f} s"
            except (MessageTooLong, msgspec.MsgspecError) as error:
                return CameraHealth.BROKEN, f"the decoder does not speak our form: {error}"
            self.frames += 1
            self._on_frame(EncodedFrame(self._camera.id, frame.observed_at_ns, frame.jpeg))
            sound = self._health is not CameraHealth.BROKEN or loop.time() - began_s > SOUND_S
            if sound and self._health is not CameraHealth.UNKNOWN:
                await self._say(CameraHealth.OK, "")

    async def _await_exit(self, child: Child) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(EXIT_S_MAX):
                await child.again(child.runs)

    async def _say(self, health: CameraHealth, why: str) -> None:
        """Put a change of health in; the first OK is the detectors' to say."""
        if health is self._health:
            return
        self._health = health
        observed = CameraHealthObserved(
            camera=self._camera.id,
            health=health,
            observed_at_ns=self._clock.now_ns(),
            why=why,
        )
        await self._put(observed)


def _why_ended(code: int | None, source: str) -> tuple[CameraHealth, str]:
    """What an exit code of the decoder says of its camera."""
    live = is_live(source)
    match code:
        case int() if code < 0:
            return CameraHealth.BROKEN, f"the decoder died of signal {-code}"
        case x if x == CANNOT_OPEN:
            health = CameraHealth.LOST if live else CameraHealth.BROKEN
            return health, "the source cannot be opened"
        case x if x == STREAM_ENDED:
            return CameraHealth.LOST, "the stream has ended"
        case x if x == NO_PICTURE:
            return CameraHealth.BROKEN, "the source holds no picture"
        case _:
            return CameraHealth.BROKEN, f"the decoder ended with exit code {code}"


def is_live(source: str) -> bool:
    """Whether a source is a stream and not a file."""
    return "://" in source
