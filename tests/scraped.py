"""What a scrape answers, read as Prometheus reads it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Scraped:
    """The samples of one scrape."""

    text: str

    def all(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """Labels and value of each sample of this name that has these labels."""
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                if sample.name == name and sample.labels.items() >= labels.items():
                    yield sample.labels, sample.value

    def one(self, name: str, **labels: str) -> float | None:
        """The value of the only such sample; ``None`` where there is none."""
        found = [value for _, value in self.all(name, **labels)]
        assert len(found) < 2, found
        return found[0] if found else None

    def states(self, name: str, **labels: str) -> dict[tuple[str, ...], str]:
        """The state that is 1, by the values of the other labels in the order of their names."""
        found = {}
        for own, value in self.all(name, **labels):
            key = tuple(own[label] for label in sorted(own) if label != "state")
            assert value in {0, 1}
            if value:
                assert key not in found, f"{key} has two states"
                found[key] = own["state"]
        return found

    def names(self) -> set[str]:
        """Every metric, with or without samples."""
        return {line.split()[2] for line in self.text.splitlines() if line.startswith("# TYPE ")}


def linted(text: str) -> tuple[int, str]:
    """What `promtool check metrics` says: how it ends, and its complaints."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False, timeout=60
    )
    return done.returncode, (done.stdout + done.stderr).decode()
