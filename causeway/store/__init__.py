"""The journal projected into PostgreSQL or TimescaleDB, for questions about the past.

`projector.py` writes: acknowledged steps in batches, the readings by binary COPY, the journal's
position in the same transaction. So a crash anywhere loses nothing and stores nothing twice.
`database.py` makes the schema and asks: trends, counts.
"""

from causeway.store.database import SQL, Counts, Position, Store, Trend, migrate, position
from causeway.store.faults import PositionTaken, StoreAhead, StoreDiverged, StoreRefused
from causeway.store.projector import Projector

__all__ = [
    "SQL",
    "Counts",
    "Position",
    "PositionTaken",
    "Projector",
    "Store",
    "StoreAhead",
    "StoreDiverged",
    "StoreRefused",
    "Trend",
    "migrate",
    "position",
]
