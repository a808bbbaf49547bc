"""`notify` of slo.yaml: who is told of what; addresses and secrets are named, never written."""

import pytest

from slo.config import parse_config
from slo.plan import Receiver
from slo.source import InvalidConfig
from tests.slo.test_config import FINE, _marked, _phase, _problems


def receivers(*written: str, top: str = "version: 1") -> tuple[Receiver, ...]:
    return parse_config(slo(*written, top=top)).notify


def slo(*written: str, top: str = "version: 1") -> str:
    return _phase(FINE, '{service: event, sli: http_reqs, target: "count > 1"}', top=top) + "".join(
        ["notify:\n", *(f"  - {one}\n" for one in written)]
    )


def test_a_receiver_hears_of_everything_unless_it_chooses() -> None:
    slack, hook = receivers(
        "{url_env: SLACK_URL, on: [fail, recovered, fail], services: [event], phases: [a], branches: [release]}",
        "{webhook: 'https://ci.example:8443/hook', secret_env: HOOK_SECRET}",
    )
    assert slack == Receiver(
        url_env="SLACK_URL", on=("fail", "recovered"), services=("event",), phases=("a",), branches=("release",)
    )
    assert hook == Receiver(webhook="https://ci.example:8443/hook", secret_env="HOOK_SECRET")
    assert hook.on == ("fail", "inconclusive", "recovered", "warn")
    assert [(one.name, one.variable) for one in (slack, hook)] == [
        ("SLACK_URL", "SLACK_URL"), ("https://ci.example:8443/hook", "HOOK_SECRET"),
    ]  # fmt: skip


def test_who_is_told_is_not_part_of_the_digest() -> None:
    # Otherwise a new receiver would judge every run again.
    told, silent = parse_config(slo("{url_env: SLACK_URL}")), parse_config(slo().replace("notify:\n", ""))
    assert told.notify
    assert told.digest == silent.digest


@pytest.mark.parametrize(
    ("written", "code", "marked"),
    [
        ("{on: [fail]}", "no-address", "{on: [fail]}"),
        ("{url_env: A, webhook: 'https://a/'}", "no-address", "{url_env: A, webhook: 'https://a/'}"),
        ("{webhook: 'https://a/'}", "no-secret", "{webhook: 'https://a/'}"),
        ("{url_env: A, secret_env: B}", "no-secret", "{url_env: A, secret_env: B}"),
        ("{url_env: 'slack://t/o/ken'}", "bad-variable", "slack://t/o/ken"),
        ("{url_env: 1A}", "bad-variable", "1A"),
        ("{webhook: 'https://a/', secret_env: 'my secret'}", "bad-variable", "my secret"),
        ("{webhook: 'ftp://a/', secret_env: B}", "bad-webhook", "ftp://a/"),
        ("{webhook: 'https://', secret_env: B}", "bad-webhook", "https://"),
        ("{webhook: 'https://[a/', secret_env: B}", "bad-webhook", "https://[a/"),
        ("{webhook: 'https://a/ b', secret_env: B}", "bad-webhook", "https://a/ b"),
        ("{webhook: 'https://u:p@a/', secret_env: B}", "secret-in-webhook", "https://u:p@a/"),
        (
            "{webhook: 'https://hooks.slack.com/services/T/B/x', secret_env: B}",
            "secret-in-webhook",
            "https://hooks.slack.com/services/T/B/x",
        ),
        ("{webhook: 'https://a/?token=t', secret_env: B}", "secret-in-webhook", "https://a/?token=t"),
        ("{url_env: A, on: [green]}", "bad-value", "green"),
        ("{url_env: A, on: []}", "empty", "[]"),
        ("{url_env: A, services: [evnt]}", "unknown-service", "evnt"),
        ("{url_env: A, phases: [b]}", "unknown-phase", "b"),
        ("{url_env: A, to: lead}", "unknown-key", "to"),
        ("nobody", "wrong-type", "nobody"),
    ],
)
def test_a_mistake_is_told_at_its_place(written: str, code: str, marked: str) -> None:
    text = slo(written)
    (problem,) = _problems(text)
    assert (problem.code, _marked(text, problem)) == (code, marked)


def test_one_webhook_has_one_secret() -> None:
    hook = "{webhook: 'https://a/', secret_env: %s}"
    assert len(receivers(hook % "B", hook % "B")) == 2
    (problem,) = _problems(slo(hook % "B", hook % "C"))
    assert problem.code == "duplicate-webhook"


def test_services_that_are_declared_may_be_named() -> None:
    assert receivers("{url_env: A, services: [plan]}", top="version: 1\nservices: {event: , plan: }")


def test_what_was_written_in_place_of_a_name_is_not_repeated() -> None:
    # It may be the secret; an error travels further than the file.
    with pytest.raises(InvalidConfig) as caught:
        receivers("{url_env: 'slack://t/o/ken'}")
    assert "ken" not in caught.value.message
