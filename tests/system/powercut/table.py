"""What a campaign found, as tables: for a terminal, and in Markdown for the documents."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from .campaign import Report, Row
from .oracle import BRICK, LIE

HEAD = ("scenario", "operations", "cut", "states", "run", "twice", "five")
LEGEND = (
    ("operations", "of the flash, in the run without a cut"),
    (
        "cut",
        "on so many of them a cut falls: all but plain data; of a long run of programs of a"
        " download, and of a long removal of files, none of which changes what a start looks at,"
        " some are enough",
    ),
    ("states", "the distinct ones after one cut"),
    ("run", "so many of these a board was started from"),
    ("twice", "distinct states after a second cut, in the recovery from the first"),
    ("five", "recoveries from five cuts in a row"),
    ("bricks, lies, other", "states with such a finding; other: not at rest, or something left"),
)
FOUND = ("bricks", "lies", "other")
MUTANT_HEAD = ("planted bug", "caught by", "at", "after states")


def rows(report: Report) -> list[tuple[str, ...]]:
    """Of the columns of HEAD and FOUND; see LEGEND."""
    found = [_row(row) for row in report.rows.values()]
    numbers = [[int(text) for text in line[1:]] for line in found]
    total = ("together", *(str(sum(column)) for column in zip(*numbers, strict=True)))
    return [*found, total]


def _row(row: Row) -> tuple[str, ...]:
    bricks, lies = row.count(BRICK), row.count(LIE)
    others = sum(
        {BRICK, LIE}.isdisjoint(finding.kind for finding in verdict.findings)
        for verdict in row.bad
    )
    summary = row.summary
    numbers = (summary.operations, summary.sampled, summary.states, row.depth1)
    numbers += (len(row.depth2), row.soak, bricks, lies, others)
    return (row.name, *map(str, numbers))


def mutant_rows(report: Report) -> list[tuple[str, ...]]:
    return [
        (hunt.name, hunt.scenario, hunt.verdict.label, str(hunt.states))
        if hunt.verdict
        else (hunt.name, "NOT TRIED" if hunt.error else "SURVIVED", "", str(hunt.states))
        for hunt in sorted(report.hunts, key=lambda hunt: hunt.name)
    ]


def show(report: Report, console: Console) -> None:
    _print(console, (*HEAD, *FOUND), rows(report))
    if report.hunts:
        _print(console, MUTANT_HEAD, mutant_rows(report))
    for name, meaning in LEGEND:
        console.print(f"{name}: {meaning}", highlight=False)
    for line in findings(report):
        console.print(line, markup=False, highlight=False)
    console.print(f"seed {report.seed}, {report.seconds:.0f} s")


def _print(console: Console, head: Sequence[str], lines: list[tuple[str, ...]]) -> None:
    table = Table(*head, box=box.SIMPLE, padding=(0, 1, 0, 0))
    for line in lines:
        table.add_row(*line)
    console.print(table)


def findings(report: Report) -> Iterator[str]:
    """Each finding once, with the states that have it; and what was not tried."""
    for row in report.rows.values():
        yield from (f"{row.name}: not one {what} was tried" for what in row.missing())
        labels: dict[tuple[str, str], list[str]] = {}
        for verdict in row.bad:
            for finding in verdict.findings:
                labels.setdefault((finding.kind, finding.text), []).append(verdict.label)
        for (kind, text), found in labels.items():
            yield f"{row.name}: {kind}: {text}\n    in {len(found)} states; {found[0]}"


def markdown(report: Report) -> str:
    """The same two tables, with what the columns mean."""
    caught = sum(hunt.verdict is not None for hunt in report.hunts)
    text = f"Seed {report.seed}, {report.seconds:.0f} s.\n\n"
    text += "".join(f"- **{name}**: {meaning}\n" for name, meaning in LEGEND) + "\n"
    text += _markdown((*HEAD, *FOUND), rows(report))
    if report.hunts:
        text += f"\n{caught} of {len(report.hunts)} planted bugs were caught.\n\n"
        text += _markdown(MUTANT_HEAD, mutant_rows(report))
    return text


def _markdown(head: Sequence[str], lines: list[tuple[str, ...]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rule, *lines))
