"""The rules and the dashboard for Prometheus and Grafana: they are right, and ask for metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from desk import Desk
from tests.project import ROOT
from tests.scraped import Scraped

FOLDER = ROOT / "examples" / "prometheus"
RULES = YAML(typ="safe").load(FOLDER / "rules.yml")
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
NAMES = re.compile(r"(?<![:\w])phasegate_[a-z0-9_]+")


def promtool(*asked: str | Path) -> tuple[int, str]:
    done = subprocess.run(["promtool", *asked], capture_output=True, text=True, check=False, cwd=FOLDER, timeout=120)
    return done.returncode, done.stdout + done.stderr


def values(document: object, key: str) -> Iterator[Any]:
    """Everything that is called ``key``, however deep."""
    if isinstance(document, dict):
        yield from (value for name, value in document.items() if name == key)
    for one in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from values(one, key)


def expressions() -> list[str]:
    """Every question of the dashboard and the rules."""
    asked = [*values(RULES, "expr"), *values(DASHBOARD, "expr")]
    return [*asked, *(query["query"] for query in values(DASHBOARD, "query") if isinstance(query, dict))]


@pytest.mark.parametrize(
    "asked", [("check", "rules", "rules.yml"), ("check", "config", "scrape.yml"), ("test", "rules", "rules_test.yml")]
)
def test_promtool_accepts_it(asked: tuple[str, ...]) -> None:
    code, said = promtool(*asked)
    assert code == 0, said


def test_every_query_of_the_dashboard_is_one(tmp_path: Path) -> None:
    written = [re.sub(r"\$__rate_interval", "5m", one) for one in values(DASHBOARD, "expr")]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(written)]
    (tmp_path / "panels.json").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    code, said = promtool("check", "rules", tmp_path / "panels.json")
    assert (code, len(rules) > 20) == (0, True), said


def test_what_is_asked_for_is_exported(fresh_desk: Desk) -> None:
    exported = Scraped(fresh_desk.metrics().decode()).names()
    exported |= {f"{name}_{part}" for name in exported for part in ("bucket", "sum", "count")}
    asked = {name for expression in expressions() for name in NAMES.findall(expression)}
    assert len(asked) > 15
    assert sorted(asked - exported) == []


def test_labels_that_are_asked_for_are_there(demo_desk: Desk) -> None:
    known = {label for line in demo_desk.metrics().decode().splitlines() for label in re.findall(r'[{,](\w+)="', line)}
    asked = {label for expression in expressions() for label in re.findall(r"[{,]\s*(\w+)\s*[!=]=?~?\s*\"", expression)}
    assert sorted(asked - known - {"job"}) == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_what_where_and_what_to_do_and_is_tried(alert: dict[str, Any]) -> None:
    assert alert["annotations"].keys() == {"summary", "description", "action"}
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    tried = YAML(typ="safe").load(FOLDER / "rules_test.yml")
    fired = {
        test["alertname"]
        for group in tried["tests"]
        for test in group.get("alert_rule_test", ())
        if test.get("exp_alerts")
    }
    assert alert["alert"] in fired


def test_the_dashboard_asks_the_prometheus_that_was_chosen() -> None:
    (chosen, *_) = DASHBOARD["templating"]["list"]
    assert (chosen["name"], chosen["type"]) == ("datasource", "datasource")
    assert {source["uid"] for source in values(DASHBOARD, "datasource")} == {"${datasource}"}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] != "row" and not panel["targets"]] == []
