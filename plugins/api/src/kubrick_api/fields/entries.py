"""metadata.managedFields: a list of entries, each a set of fields with its owner.

An owner is a manager's name with the operation and the subresource; for updates also the API version, while
an applier stays the same one whatever version it applies (apimachinery: BuildManagerIdentifier).
"""

from typing import Any, NamedTuple

from kubrick_api.fields.sets import EMPTY, Set, canonical

APPLY, UPDATE = "Apply", "Update"
FIELDS_V1 = "FieldsV1"
UNKNOWN = "unknown"
Entry = dict[str, Any]
RESET: list[Entry] = [{}]
"""What a client writes to make the server forget all owners."""


class Owner(NamedTuple):
    """Who owns fields. `api_version` is "" for an applier."""

    manager: str
    operation: str
    api_version: str = ""
    subresource: str = ""


Entries = dict[Owner, Entry]
"""The entries by owner. Entries are shared and never changed in place."""


def owner_of(entry: Entry) -> Owner:
    """The owner that an entry names."""
    operation = entry["operation"]
    version = entry["apiVersion"] if operation == UPDATE else ""
    return Owner(entry.get("manager", ""), operation, version, entry.get("subresource", ""))


def updater(manager: str, api_version: str, subresource: str) -> Owner:
    return Owner(manager or UNKNOWN, UPDATE, api_version, subresource)


def applier(manager: str, subresource: str) -> Owner:
    return Owner(manager, APPLY, "", subresource)


def entry(owner: Owner, api_version: str, fields: Set, time: str | None) -> Entry:
    """An entry, in the order in which Kubernetes writes it."""
    made: Entry = {"manager": owner.manager, "operation": owner.operation, "apiVersion": api_version}
    if time:
        made["time"] = time
    made["fieldsType"] = FIELDS_V1
    made["fieldsV1"] = fields
    if owner.subresource:
        made["subresource"] = owner.subresource
    return made


def fields_of(found: Entry) -> Set:
    fields: Set = found.get("fieldsV1") or EMPTY
    return fields


def stored(managed: list[Entry] | None) -> Entries:
    """The entries of a stored object, which this server wrote."""
    return {owner_of(found): found for found in managed or ()}


def given(managed: Any) -> Entries:
    """The entries that a client wrote. Raises ValueError when they are none."""
    entries: Entries = {}
    for index, found in enumerate(managed or ()):
        if found.get("operation") not in (APPLY, UPDATE):
            raise ValueError("operation must be `Apply` or `Update`")
        if not found.get("apiVersion"):
            raise ValueError("apiVersion must not be empty")
        kind = found.get("fieldsType")
        if not kind:
            raise ValueError(f"missing fieldsType in managed fields entry {index}")
        if kind != FIELDS_V1:
            raise ValueError(f'invalid fieldsType "{kind}" in managed fields entry {index}')
        owner = owner_of(found)
        fields = canonical(found.get("fieldsV1") or {})
        entries[owner] = entry(owner, found["apiVersion"], fields, found.get("time"))
    return entries


def listed(entries: Entries) -> list[Entry]:
    """The entries in the order in which Kubernetes lists them; those that own nothing are left out."""
    kept = list(entries.values())
    return kept if len(kept) < 2 else sorted(kept, key=_position)


def _position(found: Entry) -> tuple[str, ...]:
    return (
        found["operation"],
        found.get("time") or "",
        found["manager"],
        found["apiVersion"],
        found.get("subresource", ""),
    )
