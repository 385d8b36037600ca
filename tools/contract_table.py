#!/usr/bin/env python3
"""Writes docs/driver-contract.md: every driver of this repository through the contract suite, in one table.

    .venv/bin/python -m tools.contract_table

Runs the suite; a table that does not hold any more fails, and is written all the same.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from drivers.runtime.contract_kit import suite

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "driver-contract.md"
CONTRACTS = {
    suite.DriverContract: "Every driver",
    suite.InboundContract: "Drivers whose network hands in messages",
    suite.DeliveryReportContract: "Drivers whose network reports delivery",
}
TEXT = """\
# The driver contract

<!-- Made by tools/contract_table.py; it runs the suite. -->

What each driver of this repository was put through, with the result of the last run. The suite is
`drivers/runtime/contract_kit`; [writing-a-driver.md](writing-a-driver.md) says how another driver passes it. The
network behind each driver is a fake of the outside world: simulated phones, an emulated modem, a folder, and so on;
what stands between is the real driver process and the real stream. A dash: the network has nothing of the kind.
"""
SIGNS = {"passed": "✓", "failed": "✗"}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one test with one driver."""

    driver: str
    test: str
    word: str


def main() -> int:
    """Run the suite, write the page; 0 if everything passed."""
    results = list(_run())
    PAGE.write_text(_page(results), encoding="utf-8")
    failed = [result for result in results if result.word != "passed"]
    for result in failed:
        print(f"{result.driver}: {result.test} {result.word}", file=sys.stderr)
    print(f"{PAGE.relative_to(ROOT)}: {len(results) - len(failed)} of {len(results)} passed")
    return 1 if failed or not results else 0


def _run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        pytest = [
            sys.executable,
            "-P",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junitxml={report}",
        ]
        side_by_side = ["-n", "3", "--dist", "loadfile"]
        subprocess.run([*pytest, *side_by_side, "tests/contract/drivers"], cwd=ROOT, check=False)
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314
            module, _, subject = case.get("classname", "").rpartition(".")
            if subject.startswith("Test") and case.get("name") in _tests():
                driver = module.rpartition(".")[2].removeprefix("test_")
                word = (
                    "passed"
                    if not list(case.iterfind("failure")) + list(case.iterfind("error"))
                    else "failed"
                )
                yield Result(driver, case.get("name", ""), word)


def _tests() -> dict[str, str]:
    """The tests of the suite in its order, each with its contract's heading."""
    return {
        name: heading
        for contract, heading in CONTRACTS.items()
        for name in vars(contract)
        if name.startswith("test_")
    }


def _page(results: list[Result]) -> str:
    drivers = sorted({result.driver for result in results})
    signs = {(result.driver, result.test): SIGNS[result.word] for result in results}
    lines = [TEXT]
    heading = ""
    for test, its_heading in _tests().items():
        if its_heading != heading:
            heading = its_heading
            lines += [f"\n## {heading}\n\n| | {' | '.join(drivers)} |\n|---{'|:-:' * len(drivers)}|\n"]
        sentence = test.removeprefix("test_").replace("_", " ")
        lines.append(f"| {sentence} | {' | '.join(signs.get((driver, test), '–') for driver in drivers)} |\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
