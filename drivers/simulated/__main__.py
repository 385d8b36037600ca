"""`python -m drivers.simulated` runs the simulated driver."""

from drivers.runtime import run
from drivers.simulated.driver import SimulatedDriver

if __name__ == "__main__":
    run(SimulatedDriver)
