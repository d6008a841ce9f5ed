"""What is lost from a table without the table itself being lost; the kernel's own answers are in tests/root."""

import pytest
from attrs import define, field

from kubrick_network.watch import Tables


@define
class Rules:
    """A rule set that a test writes."""

    number: int = 0
    tables: dict[str, tuple[int, set[bytes]]] = field(factory=dict)
    listed: int = 0

    def generation(self) -> int:
        return self.number

    def table(self, name: str) -> int:
        return self.tables.get(name, (0, set()))[0]

    def pieces(self, table: str) -> frozenset[bytes]:
        self.listed += 1
        return frozenset(self.tables[table][1])

    def close(self) -> None:
        pass


@pytest.fixture
def rules() -> Rules:
    return Rules(1, {"ours": (7, {b"base", b"dnat one", b"dnat two"})})


@pytest.fixture
def lost() -> list[str]:
    return []


@pytest.fixture
def tables(rules: Rules, lost: list[str]) -> Tables:
    made = Tables(("ours",), lambda: lost.append("lost"))
    made.look(rules)
    return made


def test_a_rule_that_somebody_takes_out_of_a_table_that_stays_is_missed(
    tables: Tables, rules: Rules, lost: list[str]
) -> None:
    rules.tables["ours"][1].remove(b"base")
    rules.number += 1
    tables.look(rules)
    tables.look(rules)
    assert lost == ["lost"], "once"


def test_what_a_detached_container_had_is_not_missed_but_what_goes_with_it_is(
    tables: Tables, rules: Rules, lost: list[str]
) -> None:
    tables.leaving("one")
    rules.tables["ours"][1].remove(b"dnat one")
    rules.number += 1
    tables.look(rules)
    assert not lost
    rules.tables["ours"][1].remove(b"dnat two")
    rules.number += 1
    tables.look(rules)
    assert lost


def test_a_call_without_a_container_explains_nothing(tables: Tables, rules: Rules, lost: list[str]) -> None:
    tables.leaving("")
    rules.tables["ours"] = (7, set())
    rules.number += 1
    tables.look(rules)
    assert lost


def test_what_is_added_is_no_loss_and_is_missed_later(tables: Tables, rules: Rules, lost: list[str]) -> None:
    rules.tables["ours"][1].add(b"dnat three")
    rules.number += 1
    tables.look(rules)
    assert not lost
    rules.tables["ours"][1].remove(b"dnat three")
    rules.number += 1
    tables.look(rules)
    assert lost


@pytest.mark.parametrize("now", [{}, {"ours": (8, {b"base", b"dnat one", b"dnat two"})}])
def test_a_table_that_is_deleted_or_replaced_is_lost(
    tables: Tables, rules: Rules, lost: list[str], now: dict[str, tuple[int, set[bytes]]]
) -> None:
    rules.tables = now
    rules.number += 1
    tables.look(rules)
    assert lost


def test_while_nothing_changes_nothing_is_listed(tables: Tables, rules: Rules) -> None:
    before = rules.listed
    for _ in range(10):
        tables.look(rules)
    assert rules.listed == before
