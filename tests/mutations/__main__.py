"""Plants the faults of mutations.yml and reports which ones the tests find: python tests/mutations.

The exit code is 0 when each mutation that ran was killed, 1 when one survived, 2 when the list is stale or tests fail
without a mutation.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from mutation import ROOT, Mutation, load
from trial import BaselineError, Copy, Verdict

KINDS = ("unit", "lint", "molecule")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="mutations", description="Plants faults and reports which ones the tests find."
    )
    parser.add_argument("--only", default="", metavar="ID|PREFIX", help="the mutations whose ID begins with this")
    parser.add_argument("--kind", choices=KINDS, help="mutations of this kind; unit and lint if none is given")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="mutations at a time, each in its own copy")
    parser.add_argument("--table", action="store_true", help="print the results as a table in Markdown at the end")
    arguments = parser.parse_args()
    kinds = (arguments.kind,) if arguments.kind else KINDS[:2]
    named = [one for one in load() if one.id.startswith(arguments.only)]
    chosen = [one for one in named if one.kind in kinds]
    if not chosen:
        parser.error(f"no mutation of kind {' or '.join(kinds)} has an ID that begins with {arguments.only!r}")
    for kind, count in Counter(one.kind for one in named if one.kind not in kinds).items():
        print(f"skipped: {count} mutations of kind {kind} (run them with --kind {kind})")
    if stale := [fault for one in chosen if (fault := one.stale(ROOT))]:
        print("not applied, the list is stale:", *stale, sep="\n", file=sys.stderr)
        return 2
    try:
        verdicts = run(chosen, arguments.jobs)
    except BaselineError as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.table:
        print(table(verdicts))
    survivors = [one.mutation.id for one in verdicts if not one.killed]
    print(f"{len(verdicts) - len(survivors)} of {len(verdicts)} killed; survived: {', '.join(survivors) or 'none'}")
    return 1 if survivors else 0


def run(mutations: list[Mutation], jobs: int) -> list[Verdict]:
    """In the order of the list. Raises BaselineError."""
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder, ThreadPoolExecutor(jobs) as pool:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(jobs):
            copies.put(Copy(Path(folder, str(number))))

        def try_out(mutation: Mutation) -> Verdict:
            copy = copies.get()
            try:
                verdict = copy.try_out(mutation)
            finally:
                copies.put(copy)
            print(f"{verdict.result:8} {verdict.seconds:6.1f} s  {mutation.id}", flush=True)
            return verdict

        return list(pool.map(try_out, mutations))


def table(verdicts: list[Verdict]) -> str:
    rows = [f"| `{one.mutation.id}` | {one.mutation.kind} | {one.result} | {one.seconds:.1f} |" for one in verdicts]
    return "\n".join(["| mutation | kind | result | s |", "|---|---|---|---:|", *rows])


if __name__ == "__main__":
    sys.exit(main())
