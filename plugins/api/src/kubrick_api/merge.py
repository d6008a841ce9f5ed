"""Patches as the server applies them: strategic merge, JSON merge (RFC 7386), and the choice by media type.

A strategic merge patch is a merge patch whose lists can be merged by key, as the type's definition
says (``patch-strategy``, ``patch-merge-key``), with directives inside the patch:

- ``$patch: replace | delete`` in a map, and in a list's item (which then is matched by merge key);
- ``$retainKeys: [...]``: drop every other key of this map;
- ``$deleteFromPrimitiveList/x: [...]``: drop these from list x;
- ``$setElementOrder/x: [...]``: the order of list x, items that only the server knows in between.

All functions return a new object that shares nothing with the original, so it may be changed in place
(but see `borrow`). Errors are `StatusError`s with the codes that kube-apiserver answers.
"""

from typing import Any

from kubrick_api.codec import copy
from kubrick_api.errors import StatusError, bad_request, invalid, invalid_value, unsupported_media_type
from kubrick_api.fields.gotext import LIST, MAP, string_text, type_name, value_text
from kubrick_api.jsonpatch import json_patch, rejected
from kubrick_api.names import GVK
from kubrick_api.resource import Object
from kubrick_api.schema import Type

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM = "$deleteFromPrimitiveList"
SET_ORDER = "$setElementOrder"

BAD_PRIMITIVE_LIST = "invalid patch format of primitive list"
BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
BAD_SET_ORDER = "invalid patch format of setElementOrder list"


def apply_patch(kind: Type | None, original: Object, patch: Any, content_type: str) -> Object:
    """`original` with `patch` applied, by the request's media type. Raises StatusError: 415 for a type
    that isn't a patch, 400 for a patch that isn't one, 422 for one that doesn't apply."""
    media = content_type.partition(";")[0].strip().lower()
    if media in (JSON_PATCH, MERGE_PATCH):
        patched = json_patch(original, patch) if media == JSON_PATCH else json_merge(original, patch)
        if not isinstance(patched, dict):
            raise rejected("the patched object is no object")
        return patched
    if media == STRATEGIC_PATCH:
        return strategic_merge(kind, original, patch)
    raise unsupported_media_type(PATCH_TYPES)


def borrow(kind: Type | None, original: Object, patch: Object, content_type: str) -> Object:
    """`apply_patch` for merge patches (both sorts) without directives at the top. The new object's metadata is its own,
    and so is what the patch touches; the other members, and the entries of managedFields, it has in common with the
    original, so they may not be changed in place."""
    obj = {name: copy(value) if name in patch else value for name, value in original.items() if name != "metadata"}
    metadata = {**(original.get("metadata") or {})}
    owners = metadata.pop("managedFields", None)
    metadata = copy(metadata)
    if owners is not None:
        metadata["managedFields"] = owners
    obj = {name: metadata if name == "metadata" else obj[name] for name in original}
    return merge_map(kind, obj, copy(patch)) if content_type == STRATEGIC_PATCH else _json_merge(obj, patch)


def unpatchable(patch: str, why: str) -> StatusError:
    """422: the patched object can't be decoded (a wrong type, or an unknown field under strict
    validation). `patch` is shown to the user: the patched JSON, or the strategic patch."""
    return invalid(GVK("", "", ""), "", [invalid_value("patch", patch, why)])


# JSON merge patch


def json_merge(original: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        raise bad_request("Invalid JSON Patch")
    return _json_merge(copy(original), patch)


def _json_merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy(patch)
    if not isinstance(target, dict):
        target = {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = _json_merge(target.get(key), value)
    return target


# Strategic merge patch


def strategic_merge(kind: Type | None, original: Object, patch: Any) -> Object:
    """Apply a strategic merge patch to an object of this type (None: no list is merged)."""
    if not isinstance(patch, dict):
        shape = {list: "array", str: "string", bool: "bool"}.get(type(patch), "number")
        raise bad_request(f"json: cannot unmarshal {shape} into Go value of type map[string]interface {{}}")
    return merge_map(kind, copy(original), copy(patch))


def merge_map(kind: Type | None, original: Object, patch: Object) -> Object:
    """Merge `patch` into `original`, in place where it can; both are private copies."""
    if DIRECTIVE in patch:
        directive = patch[DIRECTIVE]
        if directive == "replace":
            replaced: Object = without_directives({key: value for key, value in patch.items() if key != DIRECTIVE})
            return replaced
        if directive == "delete":
            return {}
        raise _unknown(directive, patch)
    retain_keys(original, patch)
    for key in [key for key in patch if key.startswith(SET_ORDER)]:
        set_order(kind, original, patch, key)
    for key, value in patch.items():
        if key.startswith(DELETE_FROM):
            delete_from_list(kind, original, key, value)
        elif value is None:
            original.pop(key, None)
        elif _directed(value) and not isinstance(original.get(key), dict):
            original.pop(key, None)  # nothing that a directive could be about: it goes, and all beside it
        elif key not in original:
            original[key] = without_directives(value)
        else:
            original[key] = merge_value(kind, key, original[key], value)
    return original


def merge_value(kind: Type | None, key: str, old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        if "replace" in _strategies(kind, key):
            return without_directives(new)
        return merge_map(_child(kind, key), old, new)
    if isinstance(old, list) and isinstance(new, list):
        if "merge" in _strategies(kind, key):
            return merge_list(_child(kind, key), _merge_key(kind, key), old, new)
        return without_directives(new)
    return without_directives(new)


def merge_list(
    item_kind: Type | None, merge_key: str, old: list[Any], new: list[Any], *, deletion: bool = False
) -> list[Any]:
    """Merge lists by key, or as sets of scalars when there is no key; scalars to be deleted are taken away."""
    if not old and not new:
        return old
    if _element_type(old, new) is not dict:
        if deletion:
            return [value for value in old if value not in new]
        return in_order(list(dict.fromkeys([*old, *new])), new, old, "")
    if not merge_key:
        raise _failed(f"cannot merge lists without merge key for {'struct' if item_kind else 'string'}")
    old, plain, replace = apply_item_directives(merge_key, old, new)
    if replace:
        _check_keys(plain, merge_key)
        return [without_directives(item) for item in plain]
    merged = list(old)
    for item in plain:
        if merge_key not in item:
            raise _no_key(item, merge_key)
        at = next((i for i, known in enumerate(merged) if known.get(merge_key) == item[merge_key]), None)
        if at is None:
            merged.append(without_directives(item))
        else:
            merged[at] = merge_map(item_kind, merged[at], item)
    _check_keys(old, merge_key)
    return in_order(merged, plain, old, merge_key)


def _element_type(old: list[Any], new: list[Any]) -> type:
    """What the lists have in them, which must be one type."""
    values = [*old, *new]
    found = type(values[0])
    if found is list:
        raise rejected("lists of lists are not supported")
    if any(type(value) is not found for value in values):
        raise _failed(f"list element types are not identical: {value_text([old, new])}")
    return found


def _check_keys(items: list[Any], merge_key: str) -> None:
    for item in items:
        if not isinstance(item, dict):
            raise _wrong_type(MAP, item)
        if merge_key not in item:
            raise _no_key(item, merge_key)


def apply_item_directives(merge_key: str, old: list[Any], new: list[Any]) -> tuple[list[Any], list[Any], bool]:
    """What ``$patch`` in items asks for: (the old list with deletions done, the patch's ordinary items,
    whether these replace the list)."""
    plain = []
    replace = False
    for item in new:
        directive = item.get(DIRECTIVE)
        if DIRECTIVE not in item:
            plain.append(item)
        elif directive == "delete":
            if merge_key not in item:
                raise _no_key(item, merge_key)
            old = [known for known in old if known.get(merge_key) != item[merge_key]]
        elif directive == "replace":
            # Keys beside the directive are ignored: it speaks about the whole list.
            replace = True
        elif directive == "merge":
            raise _failed("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown(directive, item)
    return old, plain, replace


def retain_keys(original: Object, patch: Object) -> None:
    keys = patch.pop(RETAIN_KEYS, None)
    if keys is None:
        return
    if not isinstance(keys, list):
        raise bad_request(BAD_RETAIN_KEYS)
    for key, value in patch.items():
        if value is not None and not key.startswith((DELETE_FROM, SET_ORDER)) and key not in keys:
            raise bad_request(BAD_RETAIN_KEYS)
    for key in [key for key in original if key not in keys]:
        del original[key]


def delete_from_list(kind: Type | None, original: Object, key: str, values: Any) -> None:
    """A ``$deleteFromPrimitiveList/x``, whatever the strategy of x is. What isn't two lists stays as it is."""
    name = _parallel(key, DELETE_FROM, BAD_PRIMITIVE_LIST)
    if values is None:
        original.pop(name, None)
    elif isinstance(values, list) and isinstance(original.get(name), list):
        original[name] = merge_list(_child(kind, name), _merge_key(kind, name), original[name], values, deletion=True)


def _parallel(key: str, prefix: str, wrong: str) -> str:
    """The list that a directive beside it is about. Raises 400."""
    head, slash, name = key.partition("/")
    if not slash or head != prefix:
        raise bad_request(wrong)
    return name


def set_order(kind: Type | None, original: Object, patch: Object, key: str) -> None:
    """Take a ``$setElementOrder/x`` out of the patch: merge list x, and put it in that order."""
    order = patch.pop(key)
    if not isinstance(order, list):
        raise _wrong_type(LIST, order)
    name = _parallel(key, SET_ORDER, BAD_SET_ORDER)
    old, new = original.get(name), patch.get(name)
    for value in (old, new):
        if value is not None and not isinstance(value, list):
            raise _wrong_type(LIST, value)
    merge_key = _merge_key(kind, name)
    if isinstance(new, list):
        _check_order(new, order, merge_key)
    if not isinstance(old, list) and not isinstance(new, list):
        return
    if new is None and name in patch:
        return
    if isinstance(old, list):
        deletions = patch.pop(f"{DELETE_FROM}/{name}", None)
        before = list(old)
        if deletions is not None:
            delete_from_list(kind, original, f"{DELETE_FROM}/{name}", deletions)
        merged = merge_value(kind, name, original[name], new) if isinstance(new, list) else original[name]
    else:
        before = []
        merged = without_directives(new)
    if merge_key:
        _check_keys(merged, merge_key)
        at = next((at for at, item in enumerate(order) if not isinstance(item, dict)), None)
        if at is not None:
            raise _failed(f"value for key {at} is not a map")
    original[name] = in_order(merged, order, before, merge_key)
    patch.pop(name, None)


def _check_order(new: list[Any], order: list[Any], merge_key: str) -> None:
    """The patch's items must appear in the order list, in that order."""
    if not order:
        return
    left = [item for item in new if not (merge_key and _deleted(item))]
    at = passed = 0
    while passed < len(left) and at < len(order):
        if _directed(left[passed]):
            passed += 1
            continue
        passed += _same(left[passed], order[at], merge_key)
        at += 1
    if passed < len(left):
        shown = value_text(new), value_text(order)
        raise _failed(f"The order in patch list:\n{shown[0]}\n doesn't match {SET_ORDER} list:\n{shown[1]}\n")


def _deleted(item: Any) -> bool:
    if not isinstance(item, dict):
        raise _wrong_type(MAP, item)
    return item.get(DIRECTIVE) == "delete"


def _same(item: Any, named: Any, merge_key: str) -> bool:
    if merge_key:
        _check_keys([item, named], merge_key)
    return bool(_identity(item, merge_key) == _identity(named, merge_key))


def in_order(merged: list[Any], order: list[Any], before: list[Any], merge_key: str) -> list[Any]:
    """The items that `order` names in its order; the others where they stood (`before`) relative to them."""
    position = {_identity(item, merge_key): index for index, item in reversed(list(enumerate(order)))}
    former = {_identity(item, merge_key): index for index, item in reversed(list(enumerate(before)))}
    far = len(before)
    ordered = [item for item in merged if _identity(item, merge_key) in position]
    ordered.sort(key=lambda item: position[_identity(item, merge_key)])
    others = [item for item in merged if _identity(item, merge_key) not in position]
    others.sort(key=lambda item: former.get(_identity(item, merge_key), far))
    result = []
    at = 0
    for item in ordered:
        stood = former.get(_identity(item, merge_key))
        while stood is not None and at < len(others):
            if former.get(_identity(others[at], merge_key), far) >= stood:
                break
            result.append(others[at])
            at += 1
        result.append(item)
    return result + others[at:]


def _identity(item: Any, merge_key: str) -> Any:
    value = item.get(merge_key) if isinstance(item, dict) else item
    return repr(value) if isinstance(value, (dict, list)) else (type(value), value)


def without_directives(value: Any) -> Any:
    """A patch's value taken as it is: without directives, what has some beside it, and nulls."""
    if isinstance(value, dict):
        return {
            key: without_directives(item)
            for key, item in value.items()
            if not (item is None or key in (DIRECTIVE, RETAIN_KEYS) or _directed(item))
            and not key.startswith((DELETE_FROM, SET_ORDER))
        }
    if isinstance(value, list):
        return [without_directives(item) for item in value if not _directed(item)]
    return value


def _directed(value: Any) -> bool:
    return isinstance(value, dict) and DIRECTIVE in value


def _strategies(kind: Type | None, key: str) -> str:
    return str(kind.fields.get(key, {}).get("patch-strategy", "")) if kind else ""


def _merge_key(kind: Type | None, key: str) -> str:
    return str(kind.fields.get(key, {}).get("patch-merge-key", "")) if kind else ""


def _child(kind: Type | None, key: str) -> Type | None:
    if kind is None:
        return None
    spec = kind.fields.get(key, {})
    # The keys of a map are not fields of its values' type.
    return None if "map" in spec else kind.child(key)


def _failed(why: str) -> StatusError:
    return StatusError(500, "", why)


def _unknown(directive: Any, patch: Object) -> StatusError:
    return _failed(f"unknown patch type: {string_text(directive)} in map: {value_text(patch)}")


def _no_key(item: Object, merge_key: str) -> StatusError:
    return _failed(f"map: {value_text(item)} does not contain declared merge key: {merge_key}")


def _wrong_type(expected: str, value: Any) -> StatusError:
    return _failed(f"expected a {expected}, but received a {type_name(value)}")
