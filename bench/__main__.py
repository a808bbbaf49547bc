"""``python -m bench``: ingest's speed and size, whether the service answers meanwhile, judging, what comparisons find.

Prints tables of each, and writes what was found as JSON into ``bench/results``. ``make bench`` runs all; the first two
on a k6 file of 2 GiB, which it makes first, or of 200 MB (``--quick``), which shows in a minute that they work.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import detection, gate, ingest, judging, pull, serving
from bench.make_k6_file import GIB, RESULTS, k6_file

QUICK_BYTES = 200_000_000


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure ingest, serving, judging, detection.")
    parser.add_argument("benchmarks", nargs="*", metavar="|".join(BENCHMARKS), help="which to run (default: all)")
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


def _file(options: argparse.Namespace, console: Console) -> Path:
    with console.status("making a k6 file"):
        return k6_file(options.bytes, options.results)


def _ingest(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    found = ingest.measure(_file(options, console), options.rounds, console)
    ingest.show(found, console)
    return asdict(found) | {"bars": found.bars}


def _serving(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    found = serving.measure(_file(options, console), options.idle, console)
    serving.show(found, console)
    return asdict(found) | {"bars": found.bars}


def _judging(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    found = judging.measure(console, options.results, min(options.bytes, judging.BYTES))
    judging.show(found, console)
    return asdict(found) | {"bars": found.bars}


def _gate(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    found = gate.measure(console, options.results)
    gate.show(found, console)
    return asdict(found) | {"bars": found.bars}


def _pull(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    found = pull.measure(console, options.results)
    pull.show(found, console)
    return asdict(found) | {"bars": found.bars}


def _detection(_options: argparse.Namespace, console: Console) -> dict[str, Any]:
    found = detection.measure_folders()
    detection.show(found, console)
    return found


BENCHMARKS: dict[str, Callable[[argparse.Namespace, Console], dict[str, Any]]] = {
    "ingest": _ingest,
    "serving": _serving,
    "judging": _judging,
    "gate": _gate,
    "pull": _pull,
    "detection": _detection,
}


def main() -> None:
    options = _options()
    console = Console(stderr=options.json, width=None if sys.stdout.isatty() else 150)
    options.results.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in options.benchmarks or BENCHMARKS:
        found[name] = BENCHMARKS[name](options, console)
        (options.results / f"{name}.json").write_text(json.dumps(found[name], indent=2) + "\n")
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
