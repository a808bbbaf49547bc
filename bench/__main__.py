"""``python -m bench``: how fast and small ingest is, and whether the service answers meanwhile; ``--help`` for more.

Prints a table of each, and writes what was found as JSON into ``bench/results``. ``make bench`` runs both on a k6 file
of 2 GiB, which it makes first; ``--quick`` on one of 200 MB shows in a minute that everything works.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from bench import ingest, serving
from bench.make_k6_file import GIB, RESULTS, k6_file

QUICK_BYTES = 200_000_000
BENCHMARKS = ("ingest", "serving")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure ingest and serving.")
    parser.add_argument("benchmarks", nargs="*", metavar="|".join(BENCHMARKS), help="which to run (default: both)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--bytes", type=int, default=2 * GIB, help="size of the k6 file (default: 2 GiB)")
    size.add_argument("--quick", action="store_const", dest="bytes", const=QUICK_BYTES, help="a k6 file of 200 MB")
    parser.add_argument("--rounds", type=int, default=3, help="turns of Phasegate and the bare read (default: 3)")
    parser.add_argument("--idle", type=float, default=15, help="seconds to watch the idle service (default: 15)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for files (default: bench/results)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    if unknown := set(options.benchmarks) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    return options


def main() -> None:
    options = _options()
    console = Console(stderr=options.json, width=None if sys.stdout.isatty() else 150)
    with console.status("making a k6 file"):
        file = k6_file(options.bytes, options.results)
    found: dict[str, object] = {}
    for name in options.benchmarks or BENCHMARKS:
        if name == "ingest":
            ingested = ingest.measure(file, options.rounds, console)
            ingest.show(ingested, console)
            found[name] = asdict(ingested) | {"bars": ingested.bars}
        else:
            served = serving.measure(file, options.idle, console)
            serving.show(served, console)
            found[name] = asdict(served) | {"bars": served.bars}
        (options.results / f"{name}.json").write_text(json.dumps(found[name], indent=2) + "\n")
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
