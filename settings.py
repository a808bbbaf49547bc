"""Where things are, from options and environment. Read once, at the edge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VERSION = "0.1.0"


@dataclass(frozen=True)
class Settings:
    """``home`` is the store's folder, ``slo`` the slo.yaml that was named (``None``: the default places).

    ``url`` and ``token`` are those of a server to talk to instead of a store.
    """

    home: Path
    slo: Path | None = None
    url: str | None = None
    token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """From ``PHASEGATE_HOME``, ``PHASEGATE_SLO``, ``PHASEGATE_URL`` and ``PHASEGATE_TOKEN``."""
        slo = environment.get("PHASEGATE_SLO")
        return cls(
            home=Path(environment.get("PHASEGATE_HOME") or ROOT / "var"),
            slo=Path(slo) if slo else None,
            url=environment.get("PHASEGATE_URL") or None,
            token=environment.get("PHASEGATE_TOKEN") or None,
        )

    @property
    def slo_paths(self) -> tuple[Path, ...]:
        """Where slo.yaml is looked for: where it was named, else here, else in the store (put there by the demo)."""
        return (self.slo,) if self.slo else (Path("slo.yaml"), self.home / "slo.yaml")
