"""What kind of world a seed makes: how many of everything, how slow, and which faults how often.

Owns the odds. Each world has only some of the faults, so that rare combinations are not drowned by common ones.
"""

import random
from dataclasses import dataclass, field

from tests.simulation.driver_host import AskableNetwork, CallersIds, ManyAtOnce, SimulatedModems
from tests.simulation.radio import Ending, Fate, Script

FAULTS = {
    "cut": (0.75, 6.0),
    "half_open": (0.5, 8.0),
    "core_crash": (0.5, 20.0),
    "core_restart": (0.3, 30.0),
    "driver_crash": (0.6, 12.0),
    "driver_restart": (0.4, 25.0),
    "second_instance": (0.3, 20.0),
    "journal_lost": (0.25, 30.0),
    "journal_restored": (0.2, 8.0),
    "device_changed": (0.6, 5.0),
    "devices_replaced": (0.3, 12.0),
    "core_clock": (0.3, 20.0),
    "driver_clock": (0.3, 20.0),
    "core_disk_full": (0.2, 25.0),
    "journal_full": (0.2, 20.0),
    "slow_core": (0.3, 15.0),
    "slow_link": (0.4, 10.0),
    "cancel": (0.6, 6.0),
    "cancel_command": (0.4, 8.0),
    "come_in": (0.8, 4.0),
}
"""How likely a world has the fault, and then the mean time between two, in seconds."""

CRASH_POINTS = {
    "before commit": 1,
    "after commit": 1,
    "after frame": 1,
    "before journal": 1,
    "after journal": 2,
    "before hand-over": 4,
    "after hand-over": 8,
}
"""Where processes die by themselves, and how much more often than `Plan.crash_odds`: sends are rare."""

FATES = {
    Fate.TAKEN: 70,
    Fate.REFUSED: 8,
    Fate.ANSWER_LOST: 8,
    Fate.SWALLOWED: 4,
    Fate.DRIVER_FAILS: 6,
}
ENDINGS = {Ending.DELIVERED: 50, Ending.READ: 25, Ending.FAILED: 12, Ending.NOTHING: 13}


@dataclass(frozen=True, slots=True)
class Plan:
    """One world before it begins."""

    seed: int
    cores: int
    drivers: int
    devices: int
    """Of each driver."""
    window_max: int
    batches: int
    """How many calls clients make."""
    chaos_s: float
    faults: dict[str, float] = field(default_factory=dict[str, float])
    """Mean seconds between two of each."""
    crash_odds: float = 0.0
    """Of a process at each point where a crash is interesting."""
    driver_class: type[SimulatedModems] = SimulatedModems
    heartbeat_interval_s: float = 2.0
    heartbeat_timeout_s: float = 5.0
    lease_s: float = 6.0
    poll_s: float = 2.0
    sweep_s: float = 1.0
    ttl_s: float = 120.0
    unacknowledged_facts_max: int = 1000
    settled_commands_max: int = 1000
    jobs_per_commit: int = 64
    latency_s: float = 0.02
    commit_s: float = 0.005
    journal_s: float = 0.005
    radio_s: float = 0.3
    hints_lost: float = 0.0
    welcomes_lost: float = 0.0
    """Streams of which the driver loses its end as soon as it is welcome, and the core does not notice."""


def draw_plan(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(f"plan {seed}")
    faults = {
        name: mean_s * chance.choice((0.5, 1.0, 1.0, 2.0))
        for name, (likelihood, mean_s) in FAULTS.items()
        if chance.random() < likelihood
    }
    heartbeat_s = chance.choice((1.0, 2.0, 10.0))
    return Plan(
        seed=seed,
        cores=chance.choice((1, 2, 2)),
        drivers=chance.choice((1, 1, 2)),
        devices=chance.choice((1, 2, 3)),
        window_max=chance.choice((1, 2, 3, 8)),
        batches=chance.randint(3, 8),
        chaos_s=chance.uniform(15.0, 35.0),
        faults=faults,
        crash_odds=chance.choice((0.0, 0.003, 0.01, 0.02)),
        driver_class=chance.choice((
            SimulatedModems,
            SimulatedModems,
            ManyAtOnce,
            AskableNetwork,
            CallersIds,
        )),
        heartbeat_interval_s=heartbeat_s,
        heartbeat_timeout_s=2.5 * heartbeat_s,
        lease_s=max(3 * heartbeat_s, 20.0),
        poll_s=chance.choice((2.0, 5.0, 10.0)),
        sweep_s=chance.choice((3.0, 6.0, 12.0)),
        ttl_s=chance.choice((10.0, 30.0, 120.0)),
        unacknowledged_facts_max=chance.choice((1, 3, 1000)),
        settled_commands_max=chance.choice((2, 1000)),
        jobs_per_commit=chance.choice((1, 3, 64)),
        latency_s=chance.choice((0.005, 0.05, 0.3)),
        commit_s=chance.choice((0.002, 0.02, 0.2)),
        journal_s=chance.choice((0.002, 0.02, 0.2)),
        radio_s=chance.choice((0.05, 0.3, 1.5)),
        hints_lost=chance.choice((0.0, 0.0, 0.5, 1.0)),
        welcomes_lost=chance.choice((0.0, 0.0, 0.4)),
    )


def draw_script(chance: random.Random) -> Script:
    """What the network does with one message."""
    return Script(
        refusals=chance.choice((0, 0, 0, 0, 0, 0, 1, 1, 2)),
        fate=chance.choices(list(FATES), list(FATES.values()))[0],
        ending=chance.choices(list(ENDINGS), list(ENDINGS.values()))[0],
        report_delays_s=tuple(chance.choice((0.0, 0.1, 1.0, 8.0, 30.0)) for _ in range(3)),
        is_doubled=chance.random() < 0.2,
    )
