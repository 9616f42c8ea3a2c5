"""Why a store is not written to.

StoreRefused
├── StoreAhead     it is past the journal's end
├── StoreDiverged  the last step in it is another one in the journal
└── PositionTaken  another projector has moved it on
"""

from __future__ import annotations


class StoreRefused(Exception):
    """The store does not go with this journal, or not with this projector."""


class StoreAhead(StoreRefused):
    """The store holds steps that this journal has not."""

    def __init__(self, stored: int, journalled: int) -> None:
        self.stored = stored
        self.journalled = journalled
        super().__init__(
            f"the store is at step {stored}, the journal at {journalled}: two that do not match"
        )


class StoreDiverged(StoreRefused):
    """The last step that the store holds was written by another run than the journal says."""

    def __init__(self, step: int, stored_writer: str, journalled_writer: str) -> None:
        self.step = step
        super().__init__(
            f"step {step} in the store is of writer {stored_writer}, in the journal of "
            f"{journalled_writer}: two that do not match"
        )


class PositionTaken(StoreRefused):
    """Another projector has moved the position on from where this one knew it to be."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"another projector has moved the store on from step {step}")
