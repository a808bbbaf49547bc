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

    ``url`` and ``token`` are those of a server to talk to instead of a store. ``public_url`` is where people reach the
    pages, for links in what they are told.
    """

    home: Path
    slo: Path | None = None
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    public_url: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """From ``PHASEGATE_HOME``, ``_SLO``, ``_URL``, ``_TOKEN`` and ``PHASEGATE_PUBLIC_URL``."""
        slo = environment.get("PHASEGATE_SLO")
        return cls(
            home=Path(environment.get("PHASEGATE_HOME") or ROOT / "var"),
            slo=Path(slo) if slo else None,
            url=environment.get("PHASEGATE_URL") or None,
            token=environment.get("PHASEGATE_TOKEN") or None,
            public_url=environment.get("PHASEGATE_PUBLIC_URL", "").rstrip("/") or None,
        )

    @property
    def slo_paths(self) -> tuple[Path, ...]:
        """Where slo.yaml is looked for: where it was named, else here, else in the store (put there by the demo)."""
        return (self.slo,) if self.slo else (Path("slo.yaml"), self.home / "slo.yaml")
