"""What a probe's answers add up to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_node.probes import Answer, Verdict, event, probes_of


def verdict(kind, successes=1, failures=3, **spec):
    container = {"name": "web", f"{kind}Probe": {"successThreshold": successes, "failureThreshold": failures, **spec}}
    return Verdict.initial(probes_of(container)[0])


def hear(subject, text):
    """Answers as letters: p passed, f failed, ? unknown."""
    return [subject.hear(Answer({"p": True, "f": False, "?": None}[letter])) for letter in text]


def test_defaults_are_kubernetes():
    probe = probes_of({"name": "web", "livenessProbe": {"exec": {}}})[0]
    assert (probe.delay, probe.period, probe.timeout, probe.successes, probe.failures) == (0, 10, 1, 1, 3)


def test_each_kind_begins_where_it_must():
    assert [verdict(kind).result for kind in ("startup", "liveness", "readiness")] == [None, True, False]


def test_failures_count_only_in_a_row():
    subject = verdict("liveness")
    assert hear(subject, "ffpff") == [False] * 5
    assert subject.result is True
    assert hear(subject, "f") == [True]
    assert subject.result is False


def test_a_look_that_failed_itself_changes_nothing():
    subject = verdict("liveness", failures=2)
    assert hear(subject, "f?f") == [False, False, True]


def test_readiness_goes_and_comes_by_its_thresholds():
    subject = verdict("readiness", successes=2, failures=2)
    hear(subject, "p")
    assert subject.result is False
    hear(subject, "p")
    assert subject.result is True
    hear(subject, "f")
    assert subject.result is True
    hear(subject, "f")
    assert subject.result is False
    assert not subject.resting


@pytest.mark.parametrize(("kind", "text"), [("startup", "p"), ("startup", "fff"), ("liveness", "fff")])
def test_a_probe_that_has_decided_rests(kind, text):
    subject = verdict(kind)
    hear(subject, text)
    assert subject.resting


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_a_result_equals_the_last_run_that_was_long_enough(answers, successes, failures):
    subject = verdict("readiness", successes, failures)
    expected, streak, last = False, 0, None
    for answer in answers:
        streak = streak + 1 if answer == last else 1
        last = answer
        if streak >= (successes if answer else failures):
            expected = answer
        subject.hear(Answer(answer))
        assert subject.result == expected


def test_events_are_the_kubelets():
    failed = Answer(False, "HTTP probe failed with statuscode: 500")
    assert event("liveness", failed) == (
        "Warning",
        "Unhealthy",
        "Liveness probe failed: HTTP probe failed with statuscode: 500",
    )
    assert event("readiness", Answer(None, "no runtime"))[2].startswith("Readiness probe errored")
    assert event("startup", Answer(True)) is None
