"""The proxy's own picture of its table, and the commands that take the kernel from one picture to the next. Pure.

A table is the sum of parts. Each part has an owner (a service, the guard, the node) and holds sets, chains and
elements. `Ruleset.update` replaces some owners' parts and returns the difference as nft commands, in an
order in which each command finds what it refers to; nothing is ever read back from the kernel. Two services
may claim one thing (the shared chain of all services with three endpoints; an external address both were
given): the first owner by name has it, and when that one goes the next takes over.

Chains that nobody needs any more are emptied at once and deleted a second later: kernels before 6.2 count
references from a transaction's removed elements until it is over.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import define, field, frozen

from kubrick_proxy_nftables.families import Family

TABLE = "kube-proxy"
RETIREMENT = 1.0
SETS = "declared sets"
CHAINS = "chains"


@frozen
class Chain:
    """`hook` is a base chain's declaration, "" for a regular chain."""

    rules: tuple[str, ...]
    hook: str = ""


@define
class Part:
    """What one owner wants in the table: kind → name → value. Kinds are `SETS` (name → declaration),
    `CHAINS` (name → Chain), and every set's or map's own name (key → what follows the key)."""

    entries: dict[str, dict[str, Any]] = field(factory=dict)

    def declare(self, name: str, kind: str, declaration: str) -> None:
        """A set or map (`kind`)."""
        self.entries.setdefault(SETS, {})[name] = f"{kind}|{declaration}"

    def chain(self, name: str, *rules: str, hook: str = "") -> None:
        self.entries.setdefault(CHAINS, {})[name] = Chain(rules, hook)

    def element(self, container: str, key: str, value: str = "", comment: str = "") -> None:
        """A set's element, or a map's with its value."""
        text = f' comment "{comment}"' if comment else ""
        self.entries.setdefault(container, {})[key] = f"{text} : {value}" if value else text


NOTHING = Part()


class Ruleset:
    """See the module. `retired` holds emptied chains and when they were."""

    def __init__(self, family: Family, table: str = TABLE) -> None:
        self.family = family
        self.retired: dict[str, float] = {}
        self._where = f"{family.nft} {table}"
        self._parts: dict[str, Part] = {}
        self._owners: dict[str, dict[str, str | set[str]]] = {}

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, owner: object) -> bool:
        return owner in self._parts

    def current(self, kind: str) -> dict[str, Any]:
        """What is wanted now, all owners together, by name."""
        return {name: self._effective(kind, name) for name in self._owners.get(kind, ())}

    def update(self, parts: Mapping[str, Part | None], now: float) -> str:
        """Take over `parts` (None for an owner that is gone) and return the commands, "" if there are none."""
        before: dict[str, dict[str, Any]] = {}
        for owner, part in parts.items():
            self._replace(owner, part or NOTHING, before)
        return "".join(f"{line}\n" for line in self._difference(before, now))

    def scratch(self) -> str:
        """Commands that make the table anew, whatever is there."""
        self.retired.clear()
        sets, chains = self.current(SETS), self.current(CHAINS)
        lines = [f"add table {self._where}", f"delete table {self._where}", f"add table {self._where}"]
        lines += self._declarations(sets, chains)
        lines += self._rules(chains)
        for name in self._containers():
            lines += self._elements("add", name, self.current(name))
        return "".join(f"{line}\n" for line in lines)

    def refreshed(self, *, only: str = "") -> str:
        """Commands that write everything again into the table that is there (or isn't), keeping what the
        kernel learnt: the clients of session affinity. With `only` an owner, its part alone is written and
        the rest of the table left as it is."""
        parts = {only: self._parts[only]} if only else self._parts
        names: dict[str, set[str]] = {}
        for part in parts.values():
            for kind, entries in part.entries.items():
                names.setdefault(kind, set()).update(entries)
        sets = {name: self._effective(SETS, name) for name in sorted(names.get(SETS, ()))}
        chains = {name: self._effective(CHAINS, name) for name in sorted(names.get(CHAINS, ()))}
        lines = [f"add table {self._where}", *self._declarations(sets, chains)]
        lines += [f"flush chain {self._where} {name}" for name in chains]
        lines += self._rules(chains)
        for name, declaration in sets.items():
            if "dynamic" not in declaration and (not only or name in names):
                lines.append(f"flush {declaration.partition('|')[0]} {self._where} {name}")
                wanted = {key: self._effective(name, key) for key in sorted(names.get(name, ()))}
                lines += self._elements("add", name, wanted)
        return "".join(f"{line}\n" for line in lines)

    def removal(self) -> str:
        """Commands that remove the table, if it is there."""
        return f"add table {self._where}\ndelete table {self._where}\n"

    def _containers(self) -> list[str]:
        return [kind for kind in self._owners if kind not in (SETS, CHAINS)]

    def _effective(self, kind: str, name: str) -> Any:
        owner = self._owners.get(kind, {}).get(name)
        if owner is None:
            return None
        return self._parts[owner if isinstance(owner, str) else min(owner)].entries[kind][name]

    def _replace(self, owner: str, new: Part, before: dict[str, dict[str, Any]]) -> None:
        """Note in `before` how everything was that may change now."""
        old = self._parts.get(owner, NOTHING)
        for kind in old.entries.keys() | new.entries.keys():
            was, will = old.entries.get(kind, {}), new.entries.get(kind, {})
            noted = before.setdefault(kind, {})
            for name in was.keys() | will.keys():
                if was.get(name) != will.get(name) and name not in noted:
                    noted[name] = self._effective(kind, name)
            owners = self._owners.setdefault(kind, {})
            for name in was.keys() - will.keys():
                _disown(owners, name, owner)
            for name in will.keys() - was.keys():
                _own(owners, name, owner)
            if not owners:
                del self._owners[kind]
        if new is NOTHING:
            self._parts.pop(owner, None)
        else:
            self._parts[owner] = new

    def _difference(self, before: dict[str, dict[str, Any]], now: float) -> Iterator[str]:
        added: dict[str, dict[str, Any]] = {}
        removed: dict[str, dict[str, Any]] = {}
        changed: dict[str, Any] = {}
        for kind, noted in sorted(before.items()):
            for name in sorted(noted):
                was, will = noted[name], self._effective(kind, name)
                if was == will:
                    continue
                if kind == CHAINS and was is not None and will is not None:
                    changed[name] = will
                    continue
                if was is not None:
                    removed.setdefault(kind, {})[name] = was
                if will is not None:
                    added.setdefault(kind, {})[name] = will
        gone_sets, gone_chains = removed.pop(SETS, {}), removed.pop(CHAINS, {})
        new_sets, new_chains = added.pop(SETS, {}), added.pop(CHAINS, {})
        yield from self._declarations(new_sets, new_chains)
        yield from (f"flush chain {self._where} {name}" for name in changed)
        yield from self._rules({**new_chains, **changed})
        for name, elements in removed.items():
            if name not in gone_sets:
                yield from self._elements("delete", name, dict.fromkeys(elements, ""))
        for name, elements in added.items():
            yield from self._elements("add", name, elements)
        yield from self._retire(gone_chains, new_chains, now)
        for name, declaration in gone_sets.items():
            yield f"delete {declaration.partition('|')[0]} {self._where} {name}"

    def _retire(self, gone: Iterable[str], new: Iterable[str], now: float) -> Iterator[str]:
        for name in new:
            self.retired.pop(name, None)
        for name in gone:
            yield f"flush chain {self._where} {name}"
        for name in [name for name, since in self.retired.items() if since + RETIREMENT <= now]:
            del self.retired[name]
            yield f"delete chain {self._where} {name}"
        self.retired.update(dict.fromkeys(gone, now))

    def _declarations(self, sets: Mapping[str, str], chains: Mapping[str, Chain]) -> Iterator[str]:
        for name, text in sets.items():
            kind, _, declaration = text.partition("|")
            yield f"add {kind} {self._where} {name} {{ {declaration} }}"
        for name, chain in chains.items():
            yield f"add chain {self._where} {name}" + (f" {{ {chain.hook} }}" if chain.hook else "")

    def _rules(self, chains: Mapping[str, Chain]) -> Iterator[str]:
        for name, chain in chains.items():
            for rule in chain.rules:
                yield f"add rule {self._where} {name} {rule}"

    def _elements(self, verb: str, container: str, elements: Mapping[str, str]) -> Iterator[str]:
        """One command for all elements of a set or map."""
        if len(elements) == 1:
            yield from (f"{verb} element {self._where} {container} {{ {key}{rest} }}" for key, rest in elements.items())
        elif elements:
            lines = ",\n".join([f"    {key}{rest}" for key, rest in elements.items()])
            yield f"{verb} element {self._where} {container} {{\n{lines}\n}}"


def _own(owners: dict[str, str | set[str]], name: str, owner: str) -> None:
    held = owners.get(name)
    if held is None:
        owners[name] = owner
    elif isinstance(held, str):
        owners[name] = {held, owner}
    else:
        held.add(owner)


def _disown(owners: dict[str, str | set[str]], name: str, owner: str) -> None:
    held = owners[name]
    if isinstance(held, str):
        del owners[name]
        return
    held.remove(owner)
    if len(held) == 1:
        owners[name] = held.pop()
