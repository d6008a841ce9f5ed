"""What a kernel keeps of nft commands: tables with chains, sets and maps.

A chain's rules are kept as text and parsed when a packet first meets them (see trace.py).
"""

from attrs import define, field


@define
class FakeChain:
    """`hook`, `kind` and `priority` are those of a base chain; a regular chain's hook is ""."""

    declaration: str = ""
    kind: str = ""
    hook: str = ""
    priority: int = 0
    rules: list[str] = field(factory=list)


@define
class FakeSet:
    """A set, or a map if `is_map`. `elements` is key → value, "" in sets; dynamic ones fill as packets pass."""

    declaration: str
    is_map: bool = False
    elements: dict[str, str] = field(factory=dict)
    comments: dict[str, str] = field(factory=dict)

    @property
    def is_interval(self) -> bool:
        return "interval" in self.declaration

    @property
    def is_dynamic(self) -> bool:
        return "dynamic" in self.declaration


@define
class FakeTable:
    """One table of one family ("ip" or "ip6")."""

    family: str
    name: str
    handle: int
    chains: dict[str, FakeChain] = field(factory=dict)
    sets: dict[str, FakeSet] = field(factory=dict)

    def listing(self) -> str:
        """All of it, sorted, as text a person can read and compare."""
        lines = [f"table {self.family} {self.name}"]
        for name, found in sorted(self.sets.items()):
            kind = "map" if found.is_map else "set"
            lines.append(f"  {kind} {name} {{ {found.declaration} }}")
            for key, value in sorted(found.elements.items()):
                comment = f' comment "{found.comments[key]}"' if key in found.comments else ""
                lines.append(f"    {key}{comment}" + (f" : {value}" if value else ""))
        for name, chain in sorted(self.chains.items()):
            lines.append(f"  chain {name}" + (f" {{ {chain.declaration} }}" if chain.declaration else ""))
            lines += [f"    {rule}" for rule in chain.rules]
        return "\n".join(lines) + "\n"
