"""`python -m tests.simulation --seeds 10000 --start 0` runs worlds; `--seed 7 --trace` shows one.

Ends with status 1 if a promise was broken; each failing seed is printed with the command that shows it.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.simulation.run import Outcome, run_seed

SEEDS_PER_TASK = 10
PROGRESS_EVERY = 500


def main() -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="Simulated worlds, one a seed."
    )
    parser.add_argument("--seeds", type=int, default=200, help="how many worlds to run")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="run this world only")
    parser.add_argument("--trace", action="store_true", help="print everything that happened; with --seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes to use")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return show(run_seed(arguments.seed, is_traced=arguments.trace))
    seeds = range(arguments.start, arguments.start + arguments.seeds)
    started_s = time.monotonic()
    if arguments.jobs == 1:
        failed = summarize(map(run_seed, seeds), started_s)
    else:
        with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
            failed = summarize(pool.imap_unordered(run_seed, seeds, SEEDS_PER_TASK), started_s)
    return 1 if failed else 0


def show(outcome: Outcome) -> int:
    """Print one world."""
    say(*outcome.lines)
    say(f"seed {outcome.seed}: {outcome.ended_at_s:.0f} simulated seconds, messages {dict(outcome.states)}")
    for finding in outcome.findings:
        say(f"{finding.at_s:9.3f} {finding.rule.upper()} {finding.text}")
    return 1 if outcome.findings else 0


def summarize(outcomes: Iterable[Outcome], started_s: float) -> int:
    """Print the failing worlds as they come, and totals; answers how many failed."""
    counts, states, rules = Counter[str](), Counter[str](), Counter[str]()
    worlds = failed = 0
    simulated_s = 0.0
    for outcome in outcomes:
        worlds += 1
        counts += outcome.counts
        states += outcome.states
        simulated_s += outcome.ended_at_s
        if outcome.findings:
            failed += 1
            first = outcome.findings[0]
            rules.update({finding.rule for finding in outcome.findings})
            say(
                f"FAILED: python -m tests.simulation --seed {outcome.seed} --trace",
                f"    {first.rule}: {first.text}",
            )
        if worlds % PROGRESS_EVERY == 0:
            say(f"… {worlds} worlds, {failed} failed, {time.monotonic() - started_s:.0f} s")
    rows = [
        ("worlds", worlds),
        ("failed", failed),
        ("simulated hours", round(simulated_s / 3600, 1)),
        ("seconds", round(time.monotonic() - started_s)),
        *((f"messages {state}", count) for state, count in sorted(states.items())),
        *((name, count) for name, count in sorted(counts.items())),
        *((f"broken: {rule}", count) for rule, count in sorted(rules.items())),
    ]
    say("", *(f"| {name:<28} | {value:>10} |" for name, value in rows))
    return failed


def say(*lines: str) -> None:
    """Print."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
