"""An nft that keeps its tables in memory: the same commands, the same refusals, all or nothing.

It understands the commands the proxy sends: add, delete and flush of tables, chains, rules, sets, maps and
elements. It refuses what the kernel refuses: names that don't exist (ENOENT), an element that exists with
another value (EEXIST), a declaration that differs (EEXIST), a chain or set that something still refers to (EBUSY).
Each run is kept in `transactions`, as it was sent. `tests/root` runs the same cases against a kernel.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy

from kubrick_proxy_nftables.netlink import Flow
from kubrick_proxy_nftables.nft import Fingerprint, Refused
from kubrick_proxy_nftables.testing.tables import FakeChain, FakeSet, FakeTable

ABSENT = "No such file or directory"
EXISTS = "File exists"
BUSY = "Device or resource busy"
HOOK = re.compile(r"type (\w+) hook (\w+) priority (-?\d+) ;")
ELEMENT = re.compile(r'^(?P<key>[^"]*?)(?: comment "(?P<comment>[^"]*)")?(?: : (?P<value>.*))?$')
GOTO = re.compile(r"(?:goto|jump) (\S+?)(?=[\s,}]|$)")
REFERENCE = re.compile(r"@(\S+)")


class FakeNft:
    """`Nft` without a kernel. `broken` makes every run fail with that text; `flows` are the tracked UDP
    connections per family."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], FakeTable] = {}
        self.transactions: list[str] = []
        self.broken = ""
        self.flows: dict[str, list[Flow]] = {"ip": [], "ip6": []}
        self._generation = 1
        self._handles = 0

    def run(self, commands: str) -> None:
        if self.broken:
            raise Refused(self.broken)
        before, handles = deepcopy(self.tables), self._handles
        try:
            for command in split(commands):
                self._execute(command)
            self._verify()
        except Refused:
            self.tables, self._handles = before, handles
            raise
        self.transactions.append(commands)
        self._generation += 1

    def generation(self) -> int:
        return self._generation

    def fingerprint(self, family: str, table: str, chains: Sequence[str]) -> Fingerprint | None:
        found = self.tables.get((family, table))
        if found is None or any(name not in found.chains for name in chains):
            return None
        return (found.handle, *(len(found.chains[name].rules) for name in chains))

    def udp_flows(self, family: str) -> list[Flow]:
        return list(self.flows[family])

    def forget(self, flow: Flow, family: str) -> None:
        if flow in self.flows[family]:
            self.flows[family].remove(flow)

    def close(self) -> None:
        """Nothing to do: the tables stay."""

    def listing(self) -> str:
        """All tables as text."""
        return "\n".join(table.listing() for _, table in sorted(self.tables.items()))

    def _execute(self, command: str) -> None:
        verb, kind, family, name, *rest = command.split(maxsplit=4)
        argument = rest[0] if rest else ""
        if kind == "table":
            self._table(verb, family, name, command)
            return
        table = self.tables.get((family, name))
        if table is None:
            raise Refused(f"{ABSENT}\n{command}")
        actions: dict[str, Callable[[FakeTable, str, str], str]] = {
            "chain": _chain,
            "rule": _rule,
            "set": _set,
            "map": _map,
            "element": _element,
        }
        problem = actions[kind](table, verb, argument)
        if problem:
            raise Refused(f"{problem}\n{command[:200]}")

    def _table(self, verb: str, family: str, name: str, command: str) -> None:
        key = (family, name)
        if verb == "add":
            if key not in self.tables:
                self._handles += 1
                self.tables[key] = FakeTable(family, name, self._handles)
        elif key not in self.tables:
            raise Refused(f"{ABSENT}\n{command}")
        elif verb == "delete":
            del self.tables[key]
        else:
            for chain in self.tables[key].chains.values():
                chain.rules.clear()

    def _verify(self) -> None:
        """Everything that is referred to must be there at the end, as it must at each step."""
        for table in self.tables.values():
            for where, text in texts(table):
                missing = [name for name in GOTO.findall(text) if name not in table.chains]
                missing += [name for name in REFERENCE.findall(text) if name not in table.sets]
                if missing:
                    raise Refused(f"{ABSENT}\n{where}: {missing[0]}")


def split(commands: str) -> Iterator[str]:
    """One command at a time; a brace that is open goes on over the end of the line."""
    pending = ""
    for line in commands.splitlines():
        pending = f"{pending} {line.strip()}" if pending else line.strip()
        if pending.count("{") == pending.count("}"):
            if pending:
                yield pending
            pending = ""
    if pending:
        raise Refused(f"syntax error, unexpected end of file\n{pending[:200]}")


def texts(table: FakeTable) -> Iterator[tuple[str, str]]:
    """Every rule and every element's value, and where it is."""
    for name, chain in table.chains.items():
        for rule in chain.rules:
            yield f"chain {name}", rule
    for name, found in table.sets.items():
        if found.is_map:
            for value in found.elements.values():
                yield f"map {name}", value


def is_used(table: FakeTable, pattern: re.Pattern[str], name: str) -> bool:
    return any(name in pattern.findall(text) for _, text in texts(table))


def braced(argument: str) -> tuple[str, str]:
    """A name, and what stands in braces after it."""
    name, _, rest = argument.partition(" ")
    return name, rest.strip().removeprefix("{").removesuffix("}").strip()


def _chain(table: FakeTable, verb: str, argument: str) -> str:
    name, declaration = braced(argument)
    known = table.chains.get(name)
    if verb == "add":
        if known is None:
            found = HOOK.match(declaration)
            if found:
                kind, hook, priority = found.groups()
                table.chains[name] = FakeChain(declaration, kind, hook, int(priority))
            else:
                table.chains[name] = FakeChain()
        return EXISTS if known is not None and declaration not in ("", known.declaration) else ""
    if known is None:
        return ABSENT
    if verb == "flush":
        known.rules.clear()
        return ""
    if known.rules or is_used(table, GOTO, name):
        return BUSY
    del table.chains[name]
    return ""


def _rule(table: FakeTable, verb: str, argument: str) -> str:
    name, _, rule = argument.partition(" ")
    chain = table.chains.get(name)
    missing = [target for target in GOTO.findall(rule) if target not in table.chains]
    missing += [target for target in REFERENCE.findall(rule) if target not in table.sets]
    if chain is None or missing or verb != "add":
        return ABSENT
    chain.rules.append(rule)
    return ""


def _set(table: FakeTable, verb: str, argument: str, *, is_map: bool = False) -> str:
    name, declaration = braced(argument)
    known = table.sets.get(name)
    if verb == "add":
        if known is None:
            table.sets[name] = FakeSet(declaration, is_map)
        return EXISTS if known is not None and (known.declaration, known.is_map) != (declaration, is_map) else ""
    if known is None or known.is_map != is_map:
        return ABSENT
    if verb == "flush":
        known.elements.clear()
        known.comments.clear()
        return ""
    if is_used(table, REFERENCE, name):
        return BUSY
    del table.sets[name]
    return ""


def _map(table: FakeTable, verb: str, argument: str) -> str:
    return _set(table, verb, argument, is_map=True)


def _element(table: FakeTable, verb: str, argument: str) -> str:
    name, body = braced(argument)
    found = table.sets.get(name)
    if found is None:
        return ABSENT
    for text in body.split(","):
        match = ELEMENT.match(text.strip())
        if match is None:
            return "syntax error"
        key, comment, value = match["key"].strip(), match["comment"], match["value"] or ""
        if verb == "delete":
            if key not in found.elements:
                return ABSENT
            del found.elements[key]
            found.comments.pop(key, None)
            continue
        if any(target not in table.chains for target in GOTO.findall(value)):
            return ABSENT
        if found.elements.setdefault(key, value) != value:
            return EXISTS
        if comment:
            found.comments[key] = comment
    return ""
