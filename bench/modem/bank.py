"""P8: 64 emulated modems in one driver process: how much it sends, and what that costs.

The modems are a process of their own, and so is the core that hands out the messages.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from bench import processes
from bench.modem import emulated, ours
from bench.modem.rounds import MINUTE_S, RADIOS_S, WARM_UP_S, per_minute, wait_for_first
from bench.options import Options

MODEMS = 64
DURATION_S = 30
READY_S_MAX = 120.0


def measure(options: Options) -> dict[str, Any]:
    """Run and answer the figures."""
    modems = options.modems or MODEMS
    figures = {radio_s: _one(modems, radio_s, float(options.seconds or DURATION_S)) for radio_s in RADIOS_S}
    return {"modems": modems, **{f"radio {radio_s:g} s": each for radio_s, each in figures.items()}}


def _one(count: int, radio_s: float, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-modems-") as place:
        folder = Path(place)
        core = ours.Counter()
        try:
            with (
                emulated.running(folder, modems=count, radio_s=radio_s) as bank,
                ours.driver_process(folder, bank.modems, core.address) as pid,
            ):
                started = time.monotonic()
                while core.counts()["working"] < count:
                    if time.monotonic() - started > READY_S_MAX:
                        raise RuntimeError(f"only {core.counts()['working']} modems are ready")
                    time.sleep(0.1)
                ready_s = time.monotonic() - started
                wait_for_first(bank)
                time.sleep(WARM_UP_S)
                pids = {"driver": pid, "emulator": bank.pid}
                before, counts_before, from_s = processes.cpu_s(pids), core.counts(), time.time()
                time.sleep(seconds)
                cpu, counts, until_s = processes.cpu_s(pids), core.counts(), time.time()
                taken = [(at, number) for at, number in bank.taken() if from_s <= at < until_s]
                # Modem by modem: they answer in step, so a window over all of them begins and ends in a crowd.
                rates = [
                    per_minute([at for at, number in taken if number == modem.number])
                    for modem in bank.modems
                ]
                rate = sum(rates)
                return {
                    "ready_s": round(ready_s, 1),
                    "per_minute": round(rate),
                    "share_of_radio": round(rate * radio_s / MINUTE_S / count, 3) if radio_s else None,
                    "reported": counts["delivered"] - counts_before["delivered"],
                    "taken": len(taken),
                    "failed_or_unknown": counts["failed"] + counts["unknown"],
                    "driver_cores": round((cpu["driver"] - before["driver"]) / seconds, 3),
                    "driver_cpu_ms_per_message": round(
                        (cpu["driver"] - before["driver"]) * 1000 / max(1, len(taken)), 2
                    ),
                    "emulator_cores": round((cpu["emulator"] - before["emulator"]) / seconds, 3),
                    "driver_rss_mb": round(processes.rss_bytes(pid) / 1e6),
                    "driver_threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
                }
        finally:
            core.close()
