"""An apply that would change what others own: who, which fields, and the 409 that says so."""

from kubrick_api.errors import StatusError
from kubrick_api.fields.entries import UPDATE, Owner
from kubrick_api.fields.sets import Path, Set, difference, members, text

Conflicts = dict[Owner, tuple[str, Set]]
"""By owner: the API version of its entry, and the fields it would lose."""


def shown(owner: Owner) -> str:
    """An owner as the message names it: "kubectl" using apps/v1"""
    name = _quoted(owner.manager)
    if owner.subresource:
        name = f"{name} with subresource {_quoted(owner.subresource)}"
    return f"{name} using {owner.api_version}" if owner.operation == UPDATE else name


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def conflict_error(conflicts: Conflicts) -> StatusError:
    """409, with a cause for every field."""
    paths: list[tuple[Owner, Path]] = [
        (owner, path) for owner in sorted(conflicts) for path in members(conflicts[owner][1])
    ]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {shown(owner)}", "field": text(path)}
        for owner, path in paths
    ]
    return StatusError(409, "Conflict", _message(paths), {"causes": causes})


def _message(paths: list[tuple[Owner, Path]]) -> str:
    if len(paths) == 1:
        owner, path = paths[0]
        return f"Apply failed with 1 conflict: conflict with {shown(owner)}: {text(path)}"
    lines = []
    last: Owner | None = None
    for owner, path in paths:
        if owner != last:
            lines.append(f"conflicts with {shown(owner)}:")
            last = owner
        lines.append(f"- {text(path)}")
    return f"Apply failed with {len(paths)} conflicts: " + "\n".join(lines)


def allowed(conflicts: Conflicts, fields: Set) -> Conflicts:
    """The conflicts that remain when these fields may be taken."""
    left = {owner: (version, difference(lost, fields)) for owner, (version, lost) in conflicts.items()}
    return {owner: found for owner, found in left.items() if found[1]}


__all__ = ["Conflicts", "allowed", "conflict_error", "shown"]
