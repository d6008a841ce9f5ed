"""What becomes of an event: client-go's correlator, as pure decisions."""

from typing import Any

from kubrick_client.correlator import COMBINED, Correlator


def event(message: str, name: str = "web", reason: str = "Scaled") -> dict[str, Any]:
    return {
        "involvedObject": {"kind": "Deployment", "namespace": "default", "name": name, "uid": "u"},
        "type": "Normal",
        "reason": reason,
        "message": message,
        "firstTimestamp": "t",
    }


def test_the_same_event_again_raises_the_count_of_the_first() -> None:
    correlator = Correlator()
    first = correlator.correlate(event("a"), 0)
    second = correlator.correlate(event("a"), 1)
    assert first is not None
    assert second is not None
    assert first.written is second.written
    assert second.written.count == 2


def test_the_tenth_different_message_of_a_reason_is_combined_with_those_that_follow() -> None:
    correlator = Correlator()
    decisions = [correlator.correlate(event(f"message {n}"), n) for n in range(12)]
    messages = [decision.message for decision in decisions if decision]
    assert messages[8] == "message 8"
    assert messages[9] == COMBINED + "message 9"
    assert decisions[9] is not None
    assert decisions[11] is not None
    assert decisions[9].written is decisions[11].written
    assert decisions[11].written.count == 3


def test_similar_messages_far_apart_are_not_combined() -> None:
    correlator = Correlator()
    decisions = [correlator.correlate(event(f"message {n}"), n * 700) for n in range(12)]
    assert all(decision and not decision.message.startswith(COMBINED) for decision in decisions)


def test_a_source_may_say_25_things_of_one_object_at_once_and_then_one_in_five_minutes() -> None:
    correlator = Correlator()
    assert sum(correlator.correlate(event("a"), 0) is not None for _ in range(40)) == 25
    assert correlator.correlate(event("a", name="other"), 0) is not None
    assert correlator.correlate(event("a"), 299) is None
    assert correlator.correlate(event("a"), 301) is not None
    assert correlator.correlate(event("a"), 302) is None
