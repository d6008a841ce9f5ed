"""Settings are taken as they are written, or refused with what is allowed."""

import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import Factory, field, frozen, validators

from kubrick_kernel import ConfigurationError
from kubrick_kernel.settings import describe, structure


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@frozen
class Inner:
    depth: int = 1


@frozen
class Settings:
    listen: str = "127.0.0.1:0"
    workers: int = field(default=2, validator=validators.ge(1))
    ratio: float = 0.5
    quiet: bool = False
    mode: Literal["fast", "safe"] = "safe"
    colour: Colour = Colour.RED
    folder: Path | None = None
    names: tuple[str, ...] = ()
    extra: Sequence[int] = ()
    labels: Mapping[str, str] = Factory(dict)
    inner: Inner = Factory(Inner)


def read(**table: Any) -> Settings:
    return structure(Settings, table, "cluster.toml: [plugins.x]")


def test_absent_keys_take_their_defaults() -> None:
    assert read() == Settings()


def test_every_kind_of_value_is_understood() -> None:
    assert read(
        listen="x",
        workers=3,
        ratio=1,
        quiet=True,
        mode="fast",
        colour="blue",
        folder="/tmp",
        names=["a"],
        extra=[1],
        labels={"a": "b"},
        inner={"depth": 4},
    ) == Settings("x", 3, 1.0, True, "fast", Colour.BLUE, Path("/tmp"), ("a",), [1], {"a": "b"}, Inner(4))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"worker": 1}, "cluster.toml: [plugins.x]: unknown key 'worker'; did you mean workers?"),
        ({"workers": "3"}, "cluster.toml: [plugins.x] workers: '3' is not allowed; it must be a whole number"),
        ({"workers": True}, "cluster.toml: [plugins.x] workers: True is not allowed; it must be a whole number"),
        ({"quiet": 1}, "cluster.toml: [plugins.x] quiet: 1 is not allowed; it must be true or false"),
        ({"mode": "slow"}, "cluster.toml: [plugins.x] mode: 'slow' is not allowed; it must be 'fast' or 'safe'"),
        ({"colour": "green"}, "cluster.toml: [plugins.x] colour: 'green' is not allowed; it must be 'red' or 'blue'"),
        ({"folder": 1}, "cluster.toml: [plugins.x] folder: 1 is not allowed; it must be a string (a path)"),
        ({"names": ["a", 1]}, "cluster.toml: [plugins.x] names[1]: 1 is not allowed; it must be a string"),
        ({"names": "a"}, "cluster.toml: [plugins.x] names: 'a' is not allowed; it must be a list, each a string"),
        ({"labels": {"a": 1}}, "cluster.toml: [plugins.x] labels.a: 1 is not allowed; it must be a string"),
        ({"inner": {"dept": 1}}, "cluster.toml: [plugins.x] inner: unknown key 'dept'; did you mean depth?"),
        ({"workers": 0}, "cluster.toml: [plugins.x]: 'workers' must be >= 1: 0"),
    ],
)
def test_a_wrong_value_is_an_error_that_says_where_and_what_is_allowed(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**table)
    assert str(caught.value) == message


def test_a_key_far_from_any_other_lists_them_all() -> None:
    with pytest.raises(ConfigurationError, match="unknown key 'zzz'; allowed are: colour, extra, folder"):
        read(zzz=1)


def test_a_setting_without_a_default_must_be_given() -> None:
    @frozen
    class Strict:
        token: str

    with pytest.raises(ConfigurationError, match="x: the key 'token' is missing"):
        structure(Strict, {}, "x")


def test_types_are_described_in_words() -> None:
    assert describe(int | None) == "a whole number"
    assert describe(list[float]) == "a list, each a number"
    assert describe(dict[str, int]) == "a table"
