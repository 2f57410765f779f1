"""`make fuzz`: hypothesis over structured Artifacts, then atheris on every target, for a while.

    FUZZ_SECONDS=300 .venv/bin/python tests/fuzz/run.py [TARGET ...]

The time is divided among the targets and the processors. What was found to reach more code stays
in build/fuzz/corpus. Exits with 1 after a crash, and says where its input lies:
`guided.py TARGET CORPUS FILE` runs that again.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "fuzz"
TARGETS = (
    "reader",
    "tar",
    "header",
    "tree",
    "inflate",
    "manifest",
    "json",
    "pax",
    "der",
    "keys",
    "signature",
)
STRUCTURED = "structured"
# The reader as a whole and the structured Artifacts have most to find.
SHARES = {"reader": 4, STRUCTURED: 4}
_EXAMPLES_A_SECOND = 50  # of each of three tests, on a slow machine
_LARGEST = 32768  # bytes of an input


@dataclass
class Result:
    name: str
    runs: int
    seconds: int
    coverage: str
    failure: str = ""


def structured(seconds: int) -> Result:
    # Three tests share the time; they stop by the number of examples, or by the clock.
    examples = max(50, seconds * _EXAMPLES_A_SECOND // 3)
    command = [sys.executable, "-m", "pytest", HERE / "test_structured.py"]
    done = subprocess.run(
        command,
        env={**os.environ, "FUZZ_EXAMPLES": str(examples)},
        capture_output=True,
        text=True,
        check=False,
    )
    failure = done.stdout[-3000:] + done.stderr[-1000:] if done.returncode else ""
    return Result(STRUCTURED, 3 * examples, seconds, "", failure)


def guided(name: str, seconds: int) -> Result:
    found = BUILD / "crashes" / name
    found.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            sys.executable,
            HERE / "guided.py",
            name,
            BUILD / "corpus" / name,
            f"-max_total_time={seconds}",
            f"-max_len={_LARGEST}",
            f"-artifact_prefix={found}/",
            "-rss_limit_mb=2048",
            "-timeout=20",
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    log = done.stderr + done.stdout
    runs = re.findall(r"Done (\d+) runs", log)
    coverage = re.findall(r"cov: (\d+)", log)
    failure = ""
    if done.returncode or not runs:
        path = re.search(r"Test unit written to (\S+)", log)
        trace = log[log.find("=== Uncaught") :][:3000] if "=== Uncaught" in log else log[-3000:]
        failure = f"{trace}\nreproducer: {path.group(1) if path else 'none'}"
    return Result(name, int(runs[0]) if runs else 0, seconds, (coverage or [""])[-1], failure)


def work(name: str, seconds: int) -> Result:
    return structured(seconds) if name == STRUCTURED else guided(name, seconds)


def main(chosen: list[str]) -> int:
    total = int(os.environ.get("FUZZ_SECONDS", "300"))
    console = Console()
    names = list(chosen) or [STRUCTURED, *TARGETS]
    if importlib.util.find_spec("atheris") is None:
        console.print("atheris has no wheel for this Python: only hypothesis runs")
        names = [STRUCTURED]
    cores = os.cpu_count() or 1
    parts = sum(SHARES.get(name, 1) for name in names)
    times = {name: max(1, total * cores * SHARES.get(name, 1) // parts) for name in names}
    times = {name: min(seconds, total) for name, seconds in times.items()}
    # The longest first, so that the processors finish together.
    names.sort(key=lambda name: -times[name])
    with ThreadPoolExecutor(cores) as pool:
        results = list(pool.map(lambda name: work(name, times[name]), names))
    show(console, results)
    return 1 if any(result.failure for result in results) else 0


def show(console: Console, results: list[Result]) -> None:
    table = Table("target", "seconds", "executions", "coverage (edges)", "")
    for one in results:
        verdict = "crash" if one.failure else "ok"
        table.add_row(one.name, str(one.seconds), str(one.runs), one.coverage, verdict)
    console.print(table)
    console.print(f"{sum(one.runs for one in results)} executions")
    for one in results:
        if one.failure:
            print(f"\n{one.name}:\n{one.failure}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
