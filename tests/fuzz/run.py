"""`make fuzz`: hypothesis over structured Artifacts, then atheris on every target, for a while.

    FUZZ_SECONDS=300 .venv/bin/python tests/fuzz/run.py [TARGET ...]

The time is divided among the targets and the processors. What was found to reach more code stays
in build/fuzz/corpus. Exits with 1 after a crash, and says where its input lies:
`guided.py TARGET CORPUS FILE` runs that again. Without atheris only `structured` runs; that is
an error (1) for a TARGET that was named, and under INSTAR_REQUIRE_ALL=1.
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
_LARGEST = 32768  # bytes of an input


@dataclass
class Result:
    name: str
    runs: int
    seconds: int
    coverage: str
    failure: str = ""


def structured(seconds: int) -> Result:
    done = subprocess.run(
        [sys.executable, HERE / "clocked.py", str(seconds)],
        capture_output=True,
        text=True,
        check=False,
    )
    runs = re.findall(r"^(\d+)$", done.stdout, re.MULTILINE)
    failure = ""
    if done.returncode or not runs:
        failure = f"ended with {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-3000:]}"
    return Result(STRUCTURED, int(runs[-1]) if runs else 0, seconds, "", failure)


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
    known = [STRUCTURED, *TARGETS]
    names = list(chosen) or known
    if not set(names) <= set(known):
        print(f"expected targets of {', '.join(known)}, got {', '.join(names)}")
        return 2
    left_out = []
    if importlib.util.find_spec("atheris") is None:
        left_out = [name for name in names if name != STRUCTURED]
        names = [name for name in names if name == STRUCTURED]
    results = in_parallel(names)
    show(Console(), results)
    if left_out:
        ran = f"Only {STRUCTURED}" if names else "Nothing"
        print(f"atheris is not installed: no wheel for this Python, or no network. {ran} ran.")
    failed = any(result.failure for result in results)
    wanted = chosen or os.environ.get("INSTAR_REQUIRE_ALL")
    return 1 if failed or (left_out and wanted) else 0


def in_parallel(names: list[str]) -> list[Result]:
    total = int(os.environ.get("FUZZ_SECONDS", "300"))
    cores = os.cpu_count() or 1
    parts = sum(SHARES.get(name, 1) for name in names)
    times = {name: max(1, total * cores * SHARES.get(name, 1) // parts) for name in names}
    times = {name: min(seconds, total) for name, seconds in times.items()}
    # The longest first, so that the processors finish together.
    longest = sorted(names, key=lambda name: -times[name])
    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(lambda name: work(name, times[name]), longest))


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
