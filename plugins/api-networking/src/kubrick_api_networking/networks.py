"""Service ranges and the addresses taken from them: validation, rows. Paths, order and wording of
pkg/apis/networking."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from kubrick_api import addresses
from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.formats import canonical_address, canonical_network, invalids
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import IMMUTABLE, name_is_path_segment, subdomain

ONE_EACH = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"


class ServiceCIDRStrategy(Strategy):
    has_status = True

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_ranges((obj.get("spec") or {}).get("cidrs") or []))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Ranges stay; a second one may come, for dual stack."""
        new, was = ((each.get("spec") or {}).get("cidrs") or [] for each in (obj, old))
        if len(new) == len(was) or (len(was), len(new)) == (1, 2):
            changed = [
                invalid_value(f"spec.cidrs[{i}]", new[i], IMMUTABLE) for i, text in enumerate(was) if new[i] != text
            ]
            return changed + (list(_ranges(new)) if len(new) > len(was) else [])
        return [invalid_value("spec.cidrs", new, IMMUTABLE)]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], ",".join((obj.get("spec") or {}).get("cidrs") or ()), age(obj, now)]


class IPAddressStrategy(Strategy):
    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return canonical_address(name)

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_parent((obj.get("spec") or {}).get("parentRef")))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        new, was = ((each.get("spec") or {}).get("parentRef") for each in (obj, old))
        if same(new, was):
            return []
        names = ("group", "resource", "namespace", "name")
        shown = {name.capitalize(): (new or {}).get(name) or "" for name in names}
        return [invalid_value("spec.parentRef", None if new is None else shown, IMMUTABLE)]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        parent = (obj.get("spec") or {}).get("parentRef") or {}
        parts = (parent.get(name) or "" for name in ("group", "resource", "namespace", "name"))
        return [obj["metadata"]["name"], "/".join(part for part in parts if part)]


def _ranges(ranges: Sequence[str]) -> Iterator[FieldError]:
    if not ranges:
        yield required("spec.cidrs", "at least one CIDR required")
        return
    if len(ranges) > 2:
        yield invalid_value("spec.cidrs", {"CIDRs": list(ranges)}, "may only hold up to 2 values")
        return
    for i, text in enumerate(ranges):
        yield from invalids(f"spec.cidrs[{i}]", text, canonical_network(text))
    families = [addresses.family(text.partition("/")[0]) for text in ranges]
    if len(families) == 2 and families[0] and families[0] == families[1]:
        yield invalid_value("spec.cidrs", list(ranges), ONE_EACH)


def _parent(parent: Object | None) -> Iterator[FieldError]:
    """Whom an address belongs to."""
    at = "spec.parentRef"
    if parent is None:
        yield required(at)
        return
    if group := parent.get("group"):
        yield from invalids(f"{at}.group", group, subdomain(group))
    for name in ("resource", "name", "namespace"):
        value = parent.get(name) or ""
        if not value and name != "namespace":
            yield required(f"{at}.{name}")
        yield from invalids(f"{at}.{name}", value, name_is_path_segment(value))
