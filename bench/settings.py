"""How long and how much: the full run, --quick and --smoke."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    name: str
    rounds: int
    seconds: float  # Of load, for each proxy in each round.
    bulk: int  # Bytes of a stream.
    held: int  # Connections; fewer where the machine's limit of files is too low.
    held_rounds: int
    storm_rate: int  # New connections a second.
    storm_seconds: float
    start_rounds: int
    probed: int  # Replicas.
    probe_rounds: int
    probe_pause: float  # Before it is measured: the first probes are all at once.
    probe_seconds: float
    life_rounds: int
    life_connections: int  # In each of the nine looks of a round.


FULL = Settings(
    name="full",
    rounds=5,
    seconds=3,
    bulk=1 << 30,
    held=10_000,
    held_rounds=3,
    storm_rate=2000,
    storm_seconds=3,
    start_rounds=7,
    probed=1000,
    probe_rounds=2,
    probe_pause=5,
    probe_seconds=20,
    life_rounds=5,
    life_connections=100_000,
)
QUICK = Settings(
    name="quick",
    rounds=3,
    seconds=1,
    bulk=256 << 20,
    held=2000,
    held_rounds=1,
    storm_rate=2000,
    storm_seconds=1,
    start_rounds=3,
    probed=1000,
    probe_rounds=1,
    probe_pause=2,
    probe_seconds=4,
    life_rounds=1,
    life_connections=20_000,
)
# Its figures mean nothing: it shows that each case still gives one.
SMOKE = Settings(
    name="smoke",
    rounds=1,
    seconds=0.3,
    bulk=64 << 20,
    held=200,
    held_rounds=1,
    storm_rate=200,
    storm_seconds=0.5,
    start_rounds=1,
    probed=20,
    probe_rounds=1,
    probe_pause=0.2,
    probe_seconds=2.2,
    life_rounds=1,
    life_connections=1000,
)
