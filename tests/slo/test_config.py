"""slo.yaml: what it says as values, and a report of everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as some

from data.errors import ConfigError, NotFound
from slo.config import Baseline, Config, Regression, load_config, parse_config
from slo.plan import ScoreRule
from slo.selector import Selector
from slo.source import InvalidConfig, Problem
from slo.target import Target
from slo.tree import MAX_BYTES
from tests.project import ROOT

GOOD = """\
version: 1
services:
  event: {owner: discovery, tier: 1, links: {runbook: https://wiki.example/event}}
  interest:
  plan: {}
baseline: {branch: release, runs: 5, phase: previous}
regression: {confidence: 0.95, min_change: 10%, min_change_abs: 5ms, confirm: 2}
phases:
  - id: 1
    objectives:
      - {service: interest, sli: cache_hits, target: "rate > 60%"}
  - id: 7A
    title: Core services
    after: ["1"]
    entry: ["pending_migrations == 0", "services * pool <= (max_connections - 10) / 2"]
    coverage: ">= 85%"
    rollback: docs/rollback-7a.md
    verification: [Run it twice.]
    objectives:
      - {service: event, sli: http_req_duration, target: "p(95) < 250ms", warn: "p(95) < 200ms", key: true, weight: 2.5}
      - {service: event, sli: "http_req_duration{name:/event/search}", target: "p(95) < 200ms", include: setup}
      - {service: plan, promql: 'max(process_resident_memory_bytes{service="plan"})', target: "max < 512MiB"}
      - {sli: http_req_failed, target: "rate < 2%", include: [teardown, setup]}
"""


def _phase(*objectives: str, top: str = "version: 1", more: str = "") -> str:
    """A file with one phase, `a`, and these objectives, the first of them on line 6."""
    lines = [top, "phases:", "- id: a", more or "  title: A", "  objectives:", *(f"  - {one}" for one in objectives)]
    return "\n".join(lines) + "\n"


def _problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InvalidConfig) as caught:
        parse_config(text)
    return caught.value.problems


def _marked(text: str, problem: Problem) -> str:
    line = text.split("\n")[problem.line - 1]
    return line[problem.column - 1 : problem.column - 1 + problem.length]


FINE = '{sli: http_req_duration, target: "p(95) < 1s"}'


def test_a_good_file_becomes_values() -> None:
    config = parse_config(GOOD)
    assert (config.version, config.source) == (1, "slo.yaml")
    assert list(config.services) == ["event", "interest", "plan"]
    assert config.services["event"].links == {"runbook": "https://wiki.example/event"}
    assert (config.services["event"].owner, config.services["event"].tier) == ("discovery", 1)
    assert config.baseline == Baseline("release", 5, "previous")
    assert config.regression == Regression(0.95, 0.1, 5.0, 2)


def test_a_phase_has_what_comes_before_it_and_what_it_takes() -> None:
    phase = parse_config(GOOD).phase("7A")
    assert (phase.title, phase.after, phase.rollback) == ("Core services", ("1",), "docs/rollback-7a.md")
    assert [one.text for one in phase.entry] == [
        "pending_migrations == 0", "services * pool <= (max_connections - 10) / 2",
    ]  # fmt: skip
    assert phase.coverage == Target.parse_coverage(">= 85%")
    assert phase.verification == ("Run it twice.",)


def test_an_objective_knows_its_line_and_column() -> None:
    first, second, memory, whole = parse_config(GOOD).phase("7A").objectives
    assert (first.sli, first.target) == (Selector("http_req_duration"), Target.parse("p(95) < 250ms"))
    assert (first.warn, first.key, first.weight) == (Target.parse("p(95) < 200ms"), True, 2.5)
    assert (first.line, first.column) == (20, 9)
    assert (second.include, second.key, second.weight, second.warn) == (("setup",), False, 1.0, None)
    assert (memory.sli, memory.promql) == (None, 'max(process_resident_memory_bytes{service="plan"})')
    assert (whole.service, whole.include) == (None, ("setup", "teardown"))


def test_what_is_not_said_has_defaults() -> None:
    config = parse_config(_phase(FINE))
    assert (config.services, config.baseline, config.regression) == (
        {},
        Baseline("main", 10),
        Regression(0.99, 0.05, 1.0),
    )
    assert config.phase("a").coverage is None


def test_an_id_is_the_same_with_and_without_quotes() -> None:
    assert [phase.id for phase in parse_config(GOOD).phases] == ["1", "7A"]
    assert parse_config(_phase(FINE).replace("id: a", "id: 7E1")).phases[0].id == "7E1"


def test_an_unknown_phase_is_not_found_and_the_known_ones_are_named() -> None:
    with pytest.raises(NotFound, match=r"slo\.yaml has no phase `9`") as caught:
        parse_config(GOOD).phase("9")
    assert caught.value.help == "phases: 1, 7A"


def test_the_digest_changes_with_what_is_said_and_not_with_how() -> None:
    digest = parse_config(GOOD).digest
    assert len(digest) == 16
    assert (
        parse_config(
            "# a comment\n" + GOOD.replace("{branch: release, runs: 5}", "{ runs: 5, branch: 'release' }")
        ).digest
        == digest
    )
    assert parse_config(GOOD.replace('"p(95) < 250ms"', '"p(95)<250ms"'), "other.yaml").digest == digest
    assert parse_config(GOOD.replace("250ms", "251ms")).digest != digest
    assert parse_config(GOOD.replace("key: true", "key: false")).digest != digest


def test_the_digest_of_a_file_that_says_nothing_new_is_the_one_it_always_had() -> None:
    assert (
        parse_config("version: 1\nphases: [{id: a, objectives: [{sli: m, target: avg < 1}]}]").digest
        == "1a71f7e61bb2bc98"
    )
    with_score = _phase(FINE, more="  score: {pass: 90}")
    assert parse_config(with_score).digest != parse_config(_phase(FINE)).digest


@pytest.mark.parametrize(
    ("target", "text", "main"),
    [
        ("p(95) <= +10%", "p(95) <= +10%", "p(95) <= +10%"),
        ("['p(95)<600ms']", "p(95) < 600ms", "p(95) < 600ms"),
        ("[p(95) <= +10%, 'p(95) < 600ms']", "p(95) <= +10% and < 600ms", "p(95) < 600ms"),
        ("{any: ['p(95) < 1s', [p(95) <= +10%, 'p(95) < 2s']]}", "p(95) < 1s or (<= +10% and < 2s)", "p(95) < 1s"),
    ],
)
def test_several_targets_are_one_question(target: str, text: str, main: str) -> None:
    (objective,) = parse_config(_phase(f"{{sli: http_req_duration, target: {target}}}")).phases[0].objectives
    assert (objective.asks.text, objective.target) == (text, Target.parse(main))
    assert (objective.targets is None) == objective.asks.is_single


def test_a_warning_beside_several_targets_need_not_be_stricter() -> None:
    text = "{sli: http_req_duration, target: 'p(95) <= 800ms', warn: [p(95) <= +10%, 'p(95) < 600ms']}"
    (objective,) = parse_config(_phase(text)).phases[0].objectives
    assert objective.warned
    assert (objective.warned.text, objective.warn) == ("p(95) <= +10% and < 600ms", Target.parse("p(95) < 600ms"))
    relative = "{sli: http_req_duration, target: 'p(95) <= 800ms', warn: p(95) <= +10%}"
    assert parse_config(_phase(relative)).phases[0].objectives[0].warn == Target.parse("p(95) <= +10%")


def test_a_phase_may_ask_for_a_score() -> None:
    assert parse_config(_phase(FINE, more="  score: {pass: 90%, warn: 75}")).phases[0].score == ScoreRule(90.0, 75.0)
    assert parse_config(_phase(FINE, more="  score: {pass: 62.5}")).phases[0].score == ScoreRule(62.5)
    assert parse_config(_phase(FINE)).phases[0].score is None


def test_line_ends_of_any_system_are_read() -> None:
    assert parse_config(GOOD.replace("\n", "\r\n")) == parse_config(GOOD)
    assert parse_config(GOOD.replace("\n", "\r")) == parse_config(GOOD)


@pytest.mark.parametrize(
    ("objective", "code", "marked"),
    [
        ('{sli: http_req_duration, target: "p(95) < 250"}', "unit-missing", "p(95) < 250"),
        ('{sli: http_req_duration, target: "rate < 1%"}', "stat-misfit", "rate < 1%"),
        ("{sli: http_req_failed, target: rate < 2}", "unit-missing", "rate < 2"),
        ("{sli: custom, target: count < 2%}", "unit-misfit", "count < 2%"),
        ("{promql: up, target: value < 2}", "stat-misfit", "value < 2"),
        ('{sli: m, target: "p(95) <> 250ms"}', "bad-target", "<>"),
        ("{sli: m, target: 'p(95) < 250msec'}", "bad-target", "msec"),
        ("{sli: m, target: }", "wrong-type", " "),
        ("{sli: m, target: []}", "no-target", "[]"),
        ("{sli: m, target: [[avg < 1]]}", "wrong-type", "[avg < 1]"),
        ("{sli: m, target: [avg < 1, med < 1]}", "mixed-statistics", "[avg < 1, med < 1]"),
        ("{sli: m, target: {any: []}}", "no-target", "{any: []}"),
        ("{sli: m, target: {any: [[]]}}", "no-target", "[]"),
        ("{sli: m, target: {any: [{any: [avg < 1]}]}}", "wrong-type", "{any: [avg < 1]}"),
        ("{sli: http_req_duration, target: [avg < 1ms, avg < 2]}", "unit-missing", "avg < 2"),
        ("{sli: http_req_duration, target: {any: [avg < 1ms, [avg < +1%, avg < 1%]]}}", "unit-misfit", "avg < 1%"),
        ("{sli: http_req_duration, target: avg < +10}", "unit-missing", "avg < +10"),
        ("{sli: http_req_duration, target: avg < 1ms, warn: [avg < 0.5ms, avg < 2]}", "unit-missing", "avg < 2"),
        (
            "{sli: http_req_duration, target: avg < 1ms, warn: [med < 1ms, med < 2ms]}",
            "mixed-statistics",
            "[med < 1ms, med < 2ms]",
        ),
        ("{sli: m, target: avg < +5%, warn: avg < +10%}", "warn-not-stricter", "avg < +10%"),
        ('{sli: "m{name:/a, scenario}", target: avg < 1}', "bad-selector", "scenario"),
        ('{sli: "m{name:/a", target: avg < 1}', "bad-selector", "{"),
        ('{sli: "m\\u007bx", target: avg < 1}', "bad-selector", '"m\\u007bx"'),
        ("{sli: m, taget: avg < 1, target: avg < 1}", "unknown-key", "taget"),
        ("{sli: m}", "missing-key", "{sli: m}"),
        ("{target: avg < 1}", "sli-or-promql", "{target: avg < 1}"),
        ("{sli: m, promql: up, target: avg < 1}", "sli-or-promql", "{sli: m, promql: up, target: avg < 1}"),
        ("{sli: m, target: avg < 1, warn: avg < 2}", "warn-not-stricter", "avg < 2"),
        ("{sli: m, target: avg < 1, warn: med < 0.5}", "warn-not-stricter", "med < 0.5"),
        ("{sli: m, target: avg < 1, warn: avg < 0.5ms}", "warn-not-stricter", "avg < 0.5ms"),
        ("{sli: m, target: avg < 1, weight: 0}", "bad-weight", "0"),
        ("{sli: m, target: avg < 1, weight: -2.5}", "bad-weight", "-2.5"),
        ("{sli: m, target: avg < 1, weight: .nan}", "bad-weight", ".nan"),
        ("{sli: m, target: avg < 1, weight: .inf}", "bad-weight", ".inf"),
        ("{sli: m, target: avg < 1, weight: 1e999}", "bad-weight", "1e999"),
        ("{sli: m, target: avg < 1, weight: heavy}", "wrong-type", "heavy"),
        ("{sli: m, target: avg < 1, key: yes}", "wrong-type", "yes"),
        ("{sli: m, target: avg < 1, include: setpu}", "bad-include", "setpu"),
        ("{sli: m, target: avg < 1, include: [setup, load]}", "bad-include", "load"),
        ("{sli: m, target: avg < 1, service: ''}", "empty", "''"),
        ('{sli: m, target: avg < 1, service: "a\\e[31m"}', "control-character", '"a\\e[31m"'),
        ('{sli: m, target: avg < 1, service: "\\ud800"}', "control-character", '"\\ud800"'),
        ("p(95) < 250ms", "wrong-type", "p(95) < 250ms"),
    ],
)
def test_what_is_wrong_with_an_objective_is_marked(objective: str, code: str, marked: str) -> None:
    text = _phase(objective)
    (problem,) = _problems(text)
    assert (problem.code, problem.line, _marked(text, problem)) == (code, 6, marked)


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("", "empty-file", 1, 1),
        ("# only a comment\n", "empty-file", 1, 1),
        ("---\n", "empty-file", 1, 1),
        ("<!DOCTYPE html>\n<p>", "wrong-type", 1, 1),
        ("- a", "wrong-type", 1, 1),
        ("a: b: c", "not-yaml", 1, 5),
        ("version: [1\n", "not-yaml", 2, 1),
        ("version: 1\nphases:\n\t- id: a\n", "tab-indentation", 3, 1),
        ("version: 1\nphases:\n- id: a\n \ttitle: x\n", "tab-indentation", 4, 2),
        ("\N{BYTE ORDER MARK}version: 1\n", "byte-order-mark", 1, 1),
        ("version: \x00", "not-yaml", 1, 10),
        ('a: "\\UFFFFFFFF"', "not-yaml", 1, 1),
        ("version: &one 1", "alias", 1, 10),
        ("version: *one", "alias", 1, 10),
        ("version: !!int 1", "tag", 1, 10),
        ("!!python/object:os.system {}", "tag", 1, 1),
        ("%YAML 1.1\n---\nversion: 1", "directive", 2, 1),
        ("version: 1\n---\nversion: 1", "several-documents", 2, 1),
        ("a: " + "[" * 30, "too-deep", 1, 23),
        ("#" * (MAX_BYTES + 1), "too-large", 1, 1),
        (_phase(FINE, top="version: 2"), "bad-version", 1, 10),
        (_phase(FINE, top="version: 1.0"), "bad-version", 1, 10),
        (_phase(FINE, top="version: 1\nversion: 1"), "duplicate-key", 2, 1),
        (_phase(FINE, top="version: 1\nphase: []"), "unknown-key", 2, 1),
        (_phase(FINE, top="version: 1\n? [a]\n: b"), "wrong-type", 2, 3),
        (_phase(FINE).replace("version: 1", "# none"), "missing-key", 2, 1),
        ("version: 1\nphases: []", "no-phases", 2, 9),
        ("version: 1\nphases: {a: b}", "wrong-type", 2, 9),
        ("version: 1\nphases: [{id: a, objectives: []}]", "no-objectives", 2, 30),
        ("version: 1\nphases: [{id: a}]", "missing-key", 2, 10),
        (_phase(FINE).replace("id: a", "id: a b"), "bad-phase-id", 3, 7),
        (_phase(FINE).replace("id: a", "id: [a]"), "wrong-type", 3, 7),
        (_phase(FINE, more="  coverage: 85%"), "bad-target", 4, 13),
        (_phase(FINE, more='  coverage: "<= 85%"'), "bad-coverage", 4, 14),
        (_phase(FINE, more='  coverage: ">= 0%"'), "bad-coverage", 4, 14),
        (_phase(FINE, more="  score: 90"), "wrong-type", 4, 10),
        (_phase(FINE, more="  score: {warn: 75}"), "missing-key", 4, 10),
        (_phase(FINE, more="  score: {pass: 101}"), "bad-score", 4, 17),
        (_phase(FINE, more="  score: {pass: most}"), "bad-score", 4, 17),
        (_phase(FINE, more="  score: {pass: 75, warn: 90}"), "bad-score", 4, 27),
        (_phase(FINE, more="  score: {pass: 0}"), "bad-score", 4, 17),
        (_phase(FINE, more="  score: {pass: 75, warn: 0.0%}"), "bad-score", 4, 27),
        (_phase(FINE, more="  entry: [seeded_users]"), "bad-entry", 4, 11),
        (_phase(FINE, more='  entry: ["a == 1; b"]'), "bad-entry", 4, 18),
        (_phase(FINE, more='  entry: ["a == "]'), "bad-entry", 4, 15),
        (_phase(FINE, more='  entry: ["1 < a < 2"]'), "bad-entry", 4, 12),
        (_phase(FINE, more="  entry: a == 1"), "wrong-type", 4, 10),
        (_phase(FINE, more="  after: [b]"), "unknown-phase", 4, 11),
        (_phase(FINE, more="  after: [a]"), "phase-cycle", 4, 11),
        (_phase(FINE, more="  rollback: 7"), "wrong-type", 4, 13),
        (_phase(FINE, top="version: 1\nbaseline: {runs: 0}"), "bad-value", 2, 18),
        (_phase(FINE, top="version: 1\nbaseline: {runs: ten}"), "wrong-type", 2, 18),
        (_phase(FINE, top="version: 1\nbaseline: {phase: next}"), "bad-value", 2, 19),
        (_phase(FINE, top="version: 1\nregression: {confirm: 0}"), "bad-value", 2, 23),
        (_phase(FINE, top="version: 1\nregression: {confidence: 0.5}"), "bad-value", 2, 26),
        (_phase(FINE, top="version: 1\nregression: {confidence: 1}"), "bad-value", 2, 26),
        (_phase(FINE, top="version: 1\nregression: {confidence: .nan}"), "bad-value", 2, 26),
        (_phase(FINE, top="version: 1\nregression: {min_change: 5}"), "bad-target", 2, 26),
        (_phase(FINE, top="version: 1\nregression: {min_change_abs: 5%}"), "bad-target", 2, 30),
        (_phase(FINE, top="version: 1\nservices: {a: {tier: first}}"), "wrong-type", 2, 22),
        (_phase(FINE, top="version: 1\nservices: {a: {links: {x: 'javascript:alert(1)'}}}"), "bad-link", 2, 27),
        (_phase("{service: b, sli: m, target: avg < 1}", top="version: 1\nservices: {a: }"), "unknown-service", 7, 15),
    ],
)
def test_what_is_wrong_has_a_code_and_a_place(text: str, code: str, line: int, column: int) -> None:
    problem, *others = _problems(text)
    assert (problem.code, problem.line, problem.column) == (code, line, column)
    assert not others


@pytest.mark.parametrize(
    ("text", "help"),
    [
        (_phase(FINE, top="version: 1\nservcies: {}"), "did you mean `services`?"),
        (
            _phase(FINE, top="version: 1\nzzz: {}"),
            "keys: version, phases, services, baseline, regression, prometheus, notify",
        ),
        (_phase(FINE, more="  afer: [a]"), "did you mean `after`?"),
        (_phase(FINE, more="  after: [aa]"), "did you mean `a`?"),
        (
            _phase("{service: evnt, sli: m, target: avg < 1}", top="version: 1\nservices: {event: }"),
            "did you mean `event`?",
        ),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(text: str, help: str) -> None:
    (problem,) = _problems(text)
    assert problem.help == help


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{sli: m, target: p(95) < 1}", "{sli: m, target: p(95.0) <= 2}"),
        ("{sli: 'm{a:1, b:2}', target: avg < 1}", "{sli: 'm{b:2,a:1}', target: avg < 1}"),
        ("{service: s, promql: up, target: avg < 1}", "{service: s, promql: up, target: avg < 1}"),
        (
            "{sli: m, target: avg < 1, include: [setup, teardown]}",
            "{sli: m, target: avg < 1, include: [teardown, setup]}",
        ),
    ],
)
def test_asking_the_same_twice_names_the_line_of_the_first(first: str, second: str) -> None:
    (problem,) = _problems(_phase(first, FINE, second))
    assert (problem.code, problem.line) == ("duplicate-objective", 8)
    assert problem.message == "the same is already asked on line 6"


@pytest.mark.parametrize(
    "second",
    [
        "{service: s, sli: m, target: avg < 1}",
        "{sli: n, target: avg < 1}",
        "{sli: m, target: med < 1}",
        "{sli: 'm{a:1}', target: avg < 1}",
        "{sli: m, target: avg < 1, include: setup}",
        "{promql: m, target: avg < 1}",
    ],
)
def test_another_service_metric_statistic_or_part_is_not_the_same(second: str) -> None:
    assert len(parse_config(_phase("{sli: m, target: avg < 1}", second)).phases[0].objectives) == 2


def _chain(**after: str) -> str:
    phases = (f"- {{id: {phase}, after: [{names}], objectives: [{FINE}]}}\n" for phase, names in after.items())
    return "version: 1\nphases:\n" + "".join(phases)


@pytest.mark.parametrize(
    ("text", "circles"),
    [
        (_chain(a="", b="a", c="a, b"), []),
        (_chain(a="b", b="a"), [(4, "break the circle: a after b after a")]),
        (_chain(a="", b="c", c="d", d="b, a"), [(6, "break the circle: b after c after d after b")]),
        (_chain(a="a", b="b"), [(3, "break the circle: a after a"), (4, "break the circle: b after b")]),
    ],
)
def test_a_phase_cannot_come_after_itself(text: str, circles: list[tuple[int, str]]) -> None:
    found = [(problem.line, problem.help) for problem in _problems(text)] if circles else []
    assert found == circles
    if not circles:
        parse_config(text)


def test_a_phase_without_a_readable_id_is_read_to_its_end() -> None:
    text = _phase("{sli: m, target: avg}", more="  coverage: 85\n  after: [[]]").replace("id: a", "id: a b")
    assert [problem.code for problem in _problems(text)] == ["bad-phase-id", "bad-target", "wrong-type", "bad-target"]


def test_a_step_of_the_verification_may_have_several_lines() -> None:
    text = _phase(FINE, more="  verification:\n    - |\n      Run it twice.\n      Compare.\n    - Look.")
    assert parse_config(text).phases[0].verification == ("Run it twice.\nCompare.", "Look.")


def test_a_phase_is_declared_once() -> None:
    (problem,) = _problems(_chain(a="") + f"- {{id: a, objectives: [{FINE}]}}\n")
    assert (problem.code, problem.line) == ("duplicate-phase", 4)
    assert problem.message == "the phase `a` is already on line 3"


def test_a_chain_of_thousands_of_phases_is_followed() -> None:
    phases = "".join(
        f"- {{id: p{i}, after: [p{i + 1}], objectives: [{{sli: m, target: max<1}}]}}\n" for i in range(3000)
    )
    (problem,) = _problems("version: 1\nphases:\n" + phases)
    assert (problem.code, problem.line) == ("unknown-phase", 3002)


def test_the_report_is_drawn_like_a_compiler_draws_it() -> None:
    objective = '      - {service: event, sli: http_req_duration, target: "p(95) < 250", key: true}'
    text = "version: 1\nphases:\n  - id: 7A\n    objectives:" + "\n" * 10 + objective
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "slo.yaml")
    assert caught.value.message == "slo.yaml:14:59: `p(95) < 250` has no unit"
    assert str(caught.value) == dedent("""\
        error[unit-missing]: `p(95) < 250` has no unit
          --> slo.yaml:14:59
           |
        14 |       - {service: event, sli: http_req_duration, target: "p(95) < 250", key: true}
           |                                                           ^^^^^^^^^^^ a time needs a unit
           = help: write `p(95) < 250ms` (units of a time: us, ms, s)

        1 error; nothing was judged""")


def test_all_that_is_wrong_is_reported_at_once_in_the_order_of_the_file() -> None:
    text = _phase(
        "{service: b, sli: http_req_duration, target: p(95) < 1}",
        "{sli: 'm{', target: avg < 1}",
        "{promql: up, target: max < 1MB, weight: 0}",
        top="version: 2\nservices: {a: {ownr: x}}",
        more="  after: [a, c]",
    )
    with pytest.raises(InvalidConfig) as caught:
        parse_config(text, "dir/slo.yaml")
    assert caught.value.message.split("\n") == [
        "dir/slo.yaml:1:10: version `2` is unknown",
        "dir/slo.yaml:2:16: the service `a` has no key `ownr`",
        "dir/slo.yaml:5:11: the phase `a` comes after itself",
        "dir/slo.yaml:5:14: there is no phase `c`",
        "dir/slo.yaml:7:15: the service `b` is not declared in `services`",
        "dir/slo.yaml:7:50: `p(95) < 1` has no unit",
        "dir/slo.yaml:8:13: the `{` is never closed",
        "dir/slo.yaml:9:33: unknown unit `MB`",
        "dir/slo.yaml:9:45: a weight is a number above 0",
    ]
    assert str(caught.value).endswith("\n\n9 errors; nothing was judged")
    assert caught.value.exit_code == 2


def test_a_place_in_a_long_line_is_shown_with_what_is_around_it() -> None:
    text = _phase("{promql: '" + "x" * 500 + "', target: avg > 1, weight: none, service: '" + "y" * 500 + "'}")
    with pytest.raises(InvalidConfig) as caught:
        parse_config(text)
    line, marks = str(caught.value).split("\n")[3:5]
    assert len(line) <= 100
    assert line[marks.index("^") : marks.rindex("^") + 1] == "none"


def test_nothing_in_a_report_can_steer_a_terminal() -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse_config(_phase('{sli: "\\e[31m", target: "\\e]0;x\\a"}') + "\x1b[2J")
    assert "\x1b" not in str(caught.value) + caught.value.message


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [
        f"{this}: &{this} [{','.join([f'*{before}'] * 9)}]" for before, this in zip("abcdefg", "bcdefgh", strict=True)
    ]
    (problem,) = _problems("\n".join(lines)[:308])
    assert (problem.code, problem.line, problem.column) == ("alias", 1, 4)


def test_endless_nesting_is_refused_before_it_is_read() -> None:
    (problem,) = _problems("[" * 200_000)
    assert problem.code == "too-deep"


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "slo.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert load_config(path).source == str(path)
    assert load_config(path).digest == parse_config(GOOD).digest


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no .*slo\.yaml"):
        load_config(tmp_path / "slo.yaml")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r":1:1: the file cannot be read: Is a directory"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ("content", "code", "line", "column"),
    [
        ("version: 1\n# é\xff".encode("latin-1"), "not-utf-8", 2, 3),
        ("version: 1\n# é ".encode() + b"\xff", "not-utf-8", 2, 5),
        (GOOD.encode("utf-16"), "not-utf-8", 1, 1),
        (GOOD.encode("utf-8-sig"), "byte-order-mark", 1, 1),
        (b"#" * (MAX_BYTES - 1) + "é".encode(), "too-large", 1, 1),
        (b"#" * 10_000_000, "too-large", 1, 1),
    ],
)
def test_a_file_of_other_bytes_is_refused(tmp_path: Path, content: bytes, code: str, line: int, column: int) -> None:
    path = tmp_path / "slo.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidConfig) as caught:
        load_config(path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.column) == (code, line, column)


def test_the_demo_is_configured_rightly() -> None:
    config = load_config(ROOT / "examples" / "nightbff" / "slo.yaml")
    assert [phase.id for phase in config.phases] == ["1", "7A", "7B", "8"]
    assert len(config.services) == 8


_WORDS = some.sampled_from(
    [*GOOD.split(), "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", "&a", "*a", "!!x", '"', "'", "\t", "|", ">", "? "]
)


@given(
    some.one_of(
        some.text(), some.lists(_WORDS, max_size=40).map("".join), some.lists(_WORDS, max_size=40).map(" ".join)
    )
)
def test_any_text_is_a_configuration_or_a_report_on_it(text: str) -> None:
    _check(text)


@given(some.data())
def test_a_good_file_with_a_part_replaced_is_read_or_reported_on(data: some.DataObject) -> None:
    start = data.draw(some.integers(0, len(GOOD)))
    end = data.draw(some.integers(start, min(len(GOOD), start + 30)))
    _check(GOOD[:start] + data.draw(some.one_of(some.text(max_size=5), _WORDS)) + GOOD[end:])


def _check(text: str) -> None:
    read = _config_or_error(text)
    if isinstance(read, Config):
        assert read.phases
        return
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert read.problems
    assert all(1 <= problem.line <= len(lines) for problem in read.problems)
    assert all(1 <= problem.column <= len(lines[problem.line - 1]) + 1 for problem in read.problems)
    assert str(read).endswith("nothing was judged")


def _config_or_error(text: str) -> Config | InvalidConfig:
    try:
        return parse_config(text)
    except InvalidConfig as error:
        return error
