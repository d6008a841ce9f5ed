"""Durations, as Go's time.Duration writes them."""

import pytest

from kubrick_node.duration import go_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0125, "12.5ms"),
        (0.5, "500ms"),
        (1, "1s"),
        (59.5, "59.5s"),
        (60, "1m0s"),
        (180, "3m0s"),
        (184.466464602, "3m4.466464602s"),
        (3600, "1h0m0s"),
        (97_491.25, "27h4m51.25s"),
    ],
)
def test_a_duration_has_gos_form(seconds, text):
    assert go_duration(seconds) == text
