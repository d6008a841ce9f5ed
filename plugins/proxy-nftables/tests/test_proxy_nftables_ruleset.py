"""The proxy's own picture of its table: differences, claims of several owners, retired chains."""

import pytest

from kubrick_proxy_nftables.families import IPV4
from kubrick_proxy_nftables.nft import Refused
from kubrick_proxy_nftables.ruleset import Part, Ruleset
from kubrick_proxy_nftables.testing import FakeNft


def verdicts(value: str = "drop", chain: str = "") -> Part:
    part = Part()
    part.declare("ports", "map", "type inet_service : verdict ;")
    if chain:
        part.chain(chain, "drop")
        value = f"goto {chain}"
    part.element("ports", "80", value)
    return part


def applied(parts: dict[str, Part | None]) -> tuple[Ruleset, FakeNft]:
    ruleset, nft = Ruleset(IPV4), FakeNft()
    ruleset.update(parts, 0)
    nft.run(ruleset.scratch())
    return ruleset, nft


def test_nothing_changed_is_nothing_to_send() -> None:
    ruleset, _ = applied({"a/a": verdicts()})
    assert ruleset.update({"a/a": verdicts(), "b/b": None}, 0) == ""


def test_of_two_claims_the_first_by_name_counts_until_it_goes() -> None:
    ruleset, nft = applied({"b/b": verdicts("accept")})
    nft.run(ruleset.update({"a/a": verdicts("drop")}, 0))
    assert nft.tables["ip", "kube-proxy"].sets["ports"].elements == {"80": "drop"}
    assert ruleset.update({"b/b": verdicts("return")}, 0) == ""
    nft.run(ruleset.update({"a/a": None}, 0))
    assert nft.tables["ip", "kube-proxy"].sets["ports"].elements == {"80": "return"}


def test_a_chain_goes_when_its_last_owner_goes() -> None:
    ruleset, nft = applied({"a/a": verdicts(chain="shared"), "b/b": verdicts(chain="shared")})
    assert ruleset.update({"a/a": None}, 0) == ""
    commands = ruleset.update({"b/b": None}, 0)
    assert commands == "flush chain ip kube-proxy shared\ndelete map ip kube-proxy ports\n"
    nft.run(commands)
    assert ruleset.update({}, 0.5) == ""
    assert ruleset.update({}, 1.5) == "delete chain ip kube-proxy shared\n"


def test_a_chain_that_comes_back_in_time_is_not_deleted() -> None:
    ruleset, nft = applied({"a/a": verdicts(chain="mine")})
    nft.run(ruleset.update({"a/a": None}, 0))
    nft.run(ruleset.update({"a/a": verdicts(chain="mine")}, 0.5))
    assert ruleset.update({}, 2) == ""
    assert nft.tables["ip", "kube-proxy"].chains["mine"].rules == ["drop"]


def test_writing_all_anew_makes_the_same_table() -> None:
    ruleset, nft = applied({"a/a": verdicts(chain="mine"), "b/b": verdicts("accept")})
    before = nft.listing()
    nft.run("add element ip kube-proxy ports { 99 : drop }\n")
    nft.run(ruleset.refreshed())
    assert nft.listing() == before
    nft.run(ruleset.scratch())
    assert nft.listing() == before
    nft.run(ruleset.removal())
    assert nft.listing() == ""


def test_refreshing_keeps_what_the_kernel_learnt() -> None:
    clients = Part()
    clients.declare("clients", "set", "type ipv4_addr ; flags dynamic,timeout ; timeout 90s ;")
    ruleset, nft = applied({"a/a": clients})
    nft.tables["ip", "kube-proxy"].sets["clients"].elements["10.0.0.1"] = ""
    nft.run(ruleset.refreshed())
    assert nft.tables["ip", "kube-proxy"].sets["clients"].elements == {"10.0.0.1": ""}


def test_one_part_is_written_into_a_table_that_is_there() -> None:
    _, nft = applied({"a/a": verdicts(chain="mine")})
    guard = Part()
    guard.chain("guard", "drop")
    ruleset = Ruleset(IPV4)
    ruleset.update({"guard": guard}, 0)
    for _ in range(2):
        nft.run(ruleset.refreshed(only="guard"))
    table = nft.tables["ip", "kube-proxy"]
    assert table.chains["guard"].rules == ["drop"]
    assert table.sets["ports"].elements == {"80": "goto mine"}


@pytest.mark.parametrize(
    ("commands", "reason"),
    [
        ("add chain ip other x", "No such file"),
        ("add rule ip kube-proxy nowhere drop", "No such file"),
        ("add rule ip kube-proxy mine jump nowhere", "No such file"),
        ("add rule ip kube-proxy mine tcp dport vmap @nowhere", "No such file"),
        ("delete element ip kube-proxy ports { 81 }", "No such file"),
        ("add element ip kube-proxy ports { 80 : accept }", "File exists"),
        ("add map ip kube-proxy ports { type ipv4_addr : verdict ; }", "File exists"),
        ("flush chain ip kube-proxy mine\ndelete chain ip kube-proxy mine", "busy"),
        ("add rule ip kube-proxy mine tcp dport vmap @ports\ndelete map ip kube-proxy ports", "busy"),
    ],
)
def test_the_fake_refuses_what_the_kernel_refuses_and_keeps_nothing(commands: str, reason: str) -> None:
    _, nft = applied({"a/a": verdicts(chain="mine")})
    before, generation = nft.listing(), nft.generation()
    with pytest.raises(Refused, match=reason):
        nft.run(f"add chain ip kube-proxy other\n{commands}\n")
    assert (nft.listing(), nft.generation()) == (before, generation)
