"""Where a packet goes through the tables of a `FakeNft`.

A rule is cut into words and read from left to right: matches that fail end it, statements act, verdicts end the
chain. Random choices are asked of a function, so `Tracer.outcomes` can play all of them. Packets open a
connection each (``ct state new``); what tells families apart is the packet's own address.
"""

import re
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from ipaddress import ip_address, ip_network

from attrs import define, field, frozen

from kubrick_proxy_nftables.testing.fake import FakeNft
from kubrick_proxy_nftables.testing.tables import FakeTable

ACCEPT, DROP, REJECT = "accept", "drop", "reject"
RETURN = "return"
CONTINUE = ""
WORD = re.compile(r'"[^"]*"|[{},]|[^\s{},]+')
HEADERS = ("tcp", "udp", "sctp")
Choose = Callable[[int], int]


class NotUnderstood(Exception):
    """A rule says something this interpreter doesn't know."""


@frozen
class Packet:
    """The first packet of a connection. `local`: sent by the node itself; else it comes in from outside or a pod."""

    source: str
    destination: str
    port: int
    protocol: str = "tcp"
    local: bool = False

    @property
    def family(self) -> str:
        return "ip6" if ":" in self.destination else "ip"


@frozen
class Outcome:
    """What became of a packet. Where it isn't accepted, it goes nowhere: "" and 0."""

    verdict: str
    destination: str = ""
    port: int = 0
    masqueraded: bool = False


@define
class State:
    """A packet on its way."""

    packet: Packet
    destination: str
    port: int
    mark: int = 0
    translated: bool = False
    masqueraded: bool = False
    path: list[str] = field(factory=list)


class Tracer:
    """`local_addresses` are the node's own."""

    def __init__(self, nft: FakeNft, local_addresses: Collection[str], table: str = "kube-proxy") -> None:
        self.path: list[str] = []
        """The rules that the last packet met and passed, each with its chain."""
        self._nft = nft
        self._local = set(local_addresses)
        self._table = table
        self._remember = False

    def send(self, packet: Packet, choose: Choose) -> Outcome:
        """Let one packet pass for real: session affinity is remembered."""
        self._remember = True
        try:
            return self._walk(packet, choose)
        finally:
            self._remember = False

    def outcomes(self, packet: Packet) -> frozenset[Outcome]:
        """Everything that may become of `packet`; nothing is remembered."""
        found: set[Outcome] = set()
        script: list[int] = []
        while True:
            sizes: list[int] = []
            played = list(script)

            def choose(size: int, played: list[int] = played, sizes: list[int] = sizes) -> int:
                if len(sizes) == len(played):
                    played.append(0)
                sizes.append(size)
                return played[len(sizes) - 1]

            found.add(self._walk(packet, choose))
            while played and played[-1] + 1 >= sizes[len(played) - 1]:
                played.pop()
            if not played:
                return frozenset(found)
            played[-1] += 1
            script = played

    def _walk(self, packet: Packet, choose: Choose) -> Outcome:
        state = State(packet, packet.destination, packet.port)
        self.path = state.path
        table = self._nft.tables.get((packet.family, self._table))
        if table is not None:
            for hook in self._hooks(packet, state):
                verdict = Walk(table, state, choose, self._local, self._remember).hook(hook)
                if verdict != ACCEPT:
                    return Outcome(verdict)
        return Outcome(ACCEPT, state.destination, state.port, state.masqueraded)

    def _hooks(self, packet: Packet, state: State) -> Iterator[str]:
        """Asked for the next one when the last is over: where it goes on depends on the translation."""
        yield "output" if packet.local else "prerouting"
        here = state.destination in self._local
        if not packet.local:
            yield "input" if here else "forward"
        if packet.local or not here:
            yield "postrouting"
        if packet.local and here:
            yield "input"


@frozen
class Walk:
    """One packet in one hook."""

    table: FakeTable
    state: State
    choose: Choose
    local: set[str]
    remember: bool

    def hook(self, hook: str) -> str:
        """ACCEPT, or why not."""
        chains = [(chain.priority, name) for name, chain in self.table.chains.items() if chain.hook == hook]
        for _, name in sorted(chains):
            if self.chain(name) in (DROP, REJECT):
                return self.last_verdict()
        return ACCEPT

    def last_verdict(self) -> str:
        return self.state.path[-1].rpartition(" → ")[2]

    def chain(self, name: str) -> str:
        for rule in self.table.chains[name].rules:
            verdict = self.rule(name, rule)
            if verdict:
                return CONTINUE if verdict == RETURN else verdict
        return CONTINUE

    def rule(self, chain: str, rule: str) -> str:
        """The verdict, CONTINUE for the next rule."""
        words = Words(cut(rule))
        while words:
            word = words.next()
            if word in ("jump", "goto"):
                return self.enter(word, words.next(), f"{chain}: {rule}")
            if word in (ACCEPT, DROP, REJECT, RETURN):
                self.state.path.append(f"{chain}: {rule} → {word}")
                return word
            verdict = self.act(word, words, f"{chain}: {rule}")
            if verdict is None:
                return CONTINUE
            if verdict:
                return verdict
        return CONTINUE

    def enter(self, how: str, chain: str, rule: str) -> str:
        """After a jump the next rule follows where no verdict was; a goto doesn't come back to its chain."""
        self.state.path.append(f"{rule} → {how} {chain}")
        return self.chain(chain) or (RETURN if how == "goto" else CONTINUE)

    def act(self, word: str, words: "Words", rule: str) -> str | None:
        """One match or statement: None when it doesn't match, CONTINUE to go on, or a verdict."""
        state = self.state
        if word == "ct":
            about, value = words.next(), words.next()
            return CONTINUE if (about, value) == ("state", "new") or state.translated else None
        if word == "fib":
            address = state.packet.source if words.next() == "saddr" else state.destination
            words.skip("type", "local")
            return CONTINUE if address in self.local else None
        if word == "meta" and words.peek() == "mark":
            return self.mark(words)
        if word == "dnat":
            return self.translate(words, rule)
        if word == "masquerade":
            state.masqueraded = True
            return ACCEPT
        if word == "update":
            clients = self.table.sets[words.next()[1:]]
            if self.remember:
                clients.elements[state.packet.source] = ""
            words.skip("{", state.packet.family, "saddr", "}")
            return CONTINUE
        return self.match(word, words, rule)

    def mark(self, words: "Words") -> str | None:
        words.skip("mark")
        if words.peek() == "&":
            words.skip("&")
            bits = int(words.next(), 16)
            words.skip("!=", "0")
            return CONTINUE if self.state.mark & bits else None
        words.skip("set", "meta", "mark")
        operator, bits = words.next(), int(words.next(), 16)
        self.state.mark = self.state.mark | bits if operator == "|" else self.state.mark ^ bits
        return CONTINUE

    def translate(self, words: "Words", rule: str) -> str | None:
        if words.peek() == "to":
            words.skip("to")
            address, _, port = words.next().rpartition(":")
        else:
            words.skip(self.table.family, "addr", ".", "port", "to")
            key = self.selected(words.next(), words)
            words.skip("map")
            target = self.looked_up(key, words)
            if target is None:
                return None
            address, _, port = target.partition(" . ")
        self.state.destination, self.state.port = address.strip("[]"), int(port)
        self.state.translated = True
        self.state.path.append(rule)
        return ACCEPT

    def match(self, word: str, words: "Words", rule: str) -> str | None:
        key = self.selected(word, words)
        if words.peek() == "vmap":
            words.skip("vmap")
            verdict = self.looked_up(key, words)
            if verdict is None:
                return None
            how, _, chain = verdict.partition(" ")
            if chain:
                return self.enter(how, chain, rule)
            self.state.path.append(f"{rule} → {how}")
            return how
        negated = words.peek() == "!="
        if negated:
            words.skip("!=")
        return CONTINUE if key is not None and self.among(key, words) != negated else None

    def selected(self, word: str, words: "Words") -> str | None:
        """The value of a selector or a concatenation of them; None if the packet has no such field."""
        parts = [self.field(word, words)]
        while words.peek() == ".":
            words.skip(".")
            parts.append(self.field(words.next(), words))
        known = [part for part in parts if part is not None]
        return " . ".join(known) if len(known) == len(parts) else None

    def field(self, word: str, words: "Words") -> str | None:
        packet = self.state.packet
        if word == "numgen":
            words.skip("random", "mod")
            return str(self.choose(int(words.next())))
        what = words.next()
        if word == "meta" and what == "l4proto":
            return packet.protocol
        if what == "dport" and word in ("th", *HEADERS):
            return str(self.state.port) if word in ("th", packet.protocol) else None
        if word == packet.family and what in ("saddr", "daddr"):
            return packet.source if what == "saddr" else self.state.destination
        raise NotUnderstood(f"{word} {what}")

    def looked_up(self, key: str | None, words: "Words") -> str | None:
        """A map's value for `key`, named or written out."""
        word = words.next()
        if word.startswith("@"):
            return self.table.sets[word[1:]].elements.get(key) if key is not None else None
        pairs = dict(entry.split(" : ", 1) for entry in words.braced())
        return pairs.get(key) if key is not None else None

    def among(self, key: str, words: "Words") -> bool:
        word = words.next()
        if word.startswith("@"):
            found = self.table.sets[word[1:]]
            return key in found.elements or (found.is_interval and any(within(key, e) for e in found.elements))
        if word == "{":
            return any(within(key, entry) for entry in words.braced())
        return within(key, word)


class Words:
    """What is left of a rule."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._words)

    def peek(self) -> str:
        return self._words[self._at] if self else ""

    def next(self) -> str:
        self._at += 1
        return self._words[self._at - 1]

    def skip(self, *expected: str) -> None:
        for word in expected:
            found = self.next()
            if found != word:
                raise NotUnderstood(f"{found!r} where {word!r} should be in: {' '.join(self._words)}")

    def braced(self) -> list[str]:
        """The entries up to the closing brace."""
        entries: list[list[str]] = [[]]
        while (word := self.next()) != "}":
            if word == ",":
                entries.append([])
            else:
                entries[-1].append(word)
        return [" ".join(entry) for entry in entries]


@lru_cache(maxsize=10_000)
def cut(rule: str) -> tuple[str, ...]:
    return tuple(WORD.findall(rule))


def within(key: str, entry: str) -> bool:
    """Equal, or an address in a range."""
    if key == entry:
        return True
    if "/" in entry or ":" in entry or "." in entry:
        try:
            return ip_address(key) in ip_network(entry)
        except ValueError:
            return False
    return False
