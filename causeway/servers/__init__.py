"""The servers that Causeway brings with it: started on a data directory when none is configured.

`start_nats` gives the broker and the journal's server in one, `start_postgres` the database; both
keep what they hold, their ports and their passwords over a restart. `check_url` tries a configured
server instead. Whatever is in the way is a `ServerUnusable` that says what was seen and expected.
"""

from causeway.servers.broker import Nats, check_mqtt, check_nats, start_nats
from causeway.servers.database import Postgres, check_postgres, start_postgres
from causeway.servers.faults import (
    AnotherInstance,
    DiskFull,
    HalfInitialised,
    NotReady,
    OutOfReach,
    PortInUse,
    ServerUnusable,
    Unreachable,
    WrongOwner,
)
from causeway.servers.reach import check_url

__all__ = [
    "AnotherInstance",
    "DiskFull",
    "HalfInitialised",
    "Nats",
    "NotReady",
    "OutOfReach",
    "PortInUse",
    "Postgres",
    "ServerUnusable",
    "Unreachable",
    "WrongOwner",
    "check_mqtt",
    "check_nats",
    "check_postgres",
    "check_url",
    "start_nats",
    "start_postgres",
]
