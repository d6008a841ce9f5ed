"""PriorityClasses."""

from kubrick_api_scheduling.priorityclasses import PriorityClassStrategy


def named(name: str, value: int) -> dict[str, object]:
    made: dict[str, object] = {"metadata": {"name": name}, "value": value}
    PriorityClassStrategy().default(made)
    return made


def test_system_names_and_values_are_the_systems() -> None:
    strategy = PriorityClassStrategy()
    assert strategy.validate(named("system-node-critical", 2000001000)) == []
    assert strategy.validate(named("mine", 1_000_000_000)) == []
    (error,) = strategy.validate(named("mine", 1_000_000_001))
    assert str(error) == "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"
    (error,) = strategy.validate(named("system-mine", 5))
    assert error.field == "metadata.name"


def test_a_value_does_not_change() -> None:
    (error,) = PriorityClassStrategy().validate_update(named("mine", 2), named("mine", 1))
    assert str(error) == "value: Invalid value: 2: field is immutable"
