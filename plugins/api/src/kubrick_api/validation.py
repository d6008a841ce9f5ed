"""Validation that all objects share: names, labels, annotations, ObjectMeta, label selectors.

Functions that check one value return what is wrong with it, as texts (none: it is fine); those that
check part of an object return `FieldError`s. The rules and the wording are apimachinery's
(util/validation, api/validation, apis/meta/v1/validation).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from kubrick_api.errors import (
    FieldError,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
    too_long,
)

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
QUALIFIED_LENGTH = SUBDOMAIN_LENGTH + len("/") + LABEL_LENGTH
ANNOTATIONS_LIMIT = 256 * 1024
MANAGER_LIMIT = 128
SUBRESOURCE_LIMIT = 256
NOTHING: Mapping[str, Any] = {}

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_QUALIFIED})?"

is_label = re.compile(rf"{_LABEL}\Z").match
is_subdomain = re.compile(rf"{_SUBDOMAIN}\Z").match
is_qualified_part = re.compile(rf"{_QUALIFIED}\Z").match
is_label_value_text = re.compile(rf"{_VALUE}\Z").match

LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
QUALIFIED_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_VALUE}')"
)
IMMUTABLE = "field is immutable"
NameRule = Callable[[str, bool], Sequence[str]]


def too_long_text(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def _masked(name: str, prefix: bool) -> str:
    """A generateName may end in "-": what follows is random letters and digits."""
    return f"{name[:-1]}a" if prefix and len(name) > 1 and name.endswith("-") else name


# Names and label parts


def name_is_dns_subdomain(name: str, prefix: bool = False) -> list[str]:
    """RFC 1123 subdomain, what most names must be. `prefix`: it is a generateName."""
    return subdomain(_masked(name, prefix))


def name_is_dns_label(name: str, prefix: bool = False) -> list[str]:
    """RFC 1123 label: namespaces, and everything that becomes one part of a DNS name."""
    return label(_masked(name, prefix))


def name_is_path_segment(name: str, prefix: bool = False) -> list[str]:
    """What a URL's path can carry: RBAC objects are named like this."""
    if not prefix and name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{bad}'" for bad in ("/", "%") if bad in name]


def label(value: str) -> list[str]:
    errors = [too_long_text(LABEL_LENGTH)] if len(value) > LABEL_LENGTH else []
    if not is_label(value):
        errors.append("must not contain dots" if is_subdomain(value) else LABEL_RULE)
    return errors


def subdomain(value: str) -> list[str]:
    errors = [too_long_text(SUBDOMAIN_LENGTH)] if len(value) > SUBDOMAIN_LENGTH else []
    if not is_subdomain(value):
        errors.append(SUBDOMAIN_RULE)
    return errors


def qualified_name(value: str) -> list[str]:
    """A label's or annotation's key, a resource's or finalizer's name: [prefix/]name."""
    return [] if len(value) <= QUALIFIED_LENGTH and _is_qualified(value) else _qualified_errors(value)


@lru_cache(maxsize=4096)
def _is_qualified(value: str) -> bool:
    """Remembered: a cluster says few keys, again and again."""
    return not _qualified_errors(value)


def _qualified_errors(value: str) -> list[str]:
    parts = value.split("/")
    if len(parts) > 2:
        tail = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a qualified name {QUALIFIED_RULE} {tail}"]
    errors = []
    if len(parts) == 2:
        if not parts[0]:
            errors.append("prefix part must be non-empty")
        else:
            errors += [f"prefix part {text}" for text in subdomain(parts[0])]
    name = parts[-1]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > LABEL_LENGTH:
        errors.append(f"name part {too_long_text(LABEL_LENGTH)}")
    if not is_qualified_part(name):
        errors.append(f"name part {QUALIFIED_RULE}")
    return errors


def label_value(value: str) -> list[str]:
    if len(value) <= LABEL_LENGTH and is_label_value_text(value):
        return []
    errors = [too_long_text(LABEL_LENGTH)] if len(value) > LABEL_LENGTH else []
    if not is_label_value_text(value):
        errors.append(LABEL_VALUE_RULE)
    return errors


def labels(values: Mapping[str, str] | None, path: str) -> list[FieldError]:
    """A map of labels."""
    errors = []
    for key, value in (values or {}).items():
        if wrong := qualified_name(key):
            errors += [invalid_value(path, key, text) for text in wrong]
        if wrong := label_value(value):
            errors += [invalid_value(path, value, text) for text in wrong]
    return errors


def annotations(values: Mapping[str, str] | None, path: str) -> list[FieldError]:
    """A map of annotations: keys are checked in lower case, and the whole may be 256 KiB."""
    errors: list[FieldError] = []
    size = 0
    for key, value in (values or {}).items():
        if wrong := qualified_name(key.lower()):
            errors += [invalid_value(path, key, text) for text in wrong]
        size += len(key) + len(value) if key.isascii() and value.isascii() else len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_LIMIT:
        errors.append(too_long(path, ANNOTATIONS_LIMIT))
    return errors


# ObjectMeta


def object_meta(
    metadata: Mapping[str, Any], namespaced: bool, name_rule: NameRule = name_is_dns_subdomain, path: str = "metadata"
) -> list[FieldError]:
    """Everything wrong with a new object's metadata. Call it when the name has been generated."""
    errors: list[FieldError] = []
    prefix = metadata.get("generateName", "")
    if prefix:
        errors += [invalid_value(f"{path}.generateName", prefix, text) for text in name_rule(prefix, True)]
    name = metadata.get("name", "")
    if not name:
        errors.append(required(f"{path}.name", "name or generateName is required"))
    else:
        if wrong := name_rule(name, False):
            errors += [invalid_value(f"{path}.name", name, text) for text in wrong]
    namespace = metadata.get("namespace", "")
    if namespaced:
        if not namespace:
            errors.append(required(f"{path}.namespace"))
        else:
            if not _is_namespace(namespace):
                wrong = name_is_dns_label(namespace)
                errors += [invalid_value(f"{path}.namespace", namespace, text) for text in wrong]
    elif namespace:
        errors.append(forbidden_value(f"{path}.namespace", "not allowed on this type"))
    return errors + _always(metadata, path)


@lru_cache(maxsize=1024)
def _is_namespace(name: str) -> bool:
    """Remembered: there are few of them."""
    return not name_is_dns_label(name)


def _always(metadata: Mapping[str, Any], path: str, old: Mapping[str, Any] = NOTHING) -> list[FieldError]:
    """What is checked on create and on update alike; what is as it was in `old` was valid then."""
    errors = []
    generation = metadata.get("generation", 0)
    if generation < 0:
        errors.append(invalid_value(f"{path}.generation", generation, "must be greater than or equal to 0"))
    for name, check in PARTS:
        value = metadata.get(name)
        if value and value != old.get(name):
            errors += check(value, f"{path}.{name}")
    return errors


def field_manager(name: str, path: str) -> list[FieldError]:
    """A field manager's name: short and printable (apimachinery: ValidateFieldManager)."""
    errors = [too_long(path, MANAGER_LIMIT)] if len(name.encode()) > MANAGER_LIMIT else []
    if not name.isprintable():
        at = 0
        for character in name:
            if not character.isprintable():
                what = f"invalid character U+{ord(character):04X} (at position {at})"
                errors.append(invalid_value(path, name, what))
            at += len(character.encode())
    return errors


def managed_fields(entries: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    """Entries of metadata.managedFields that could be read, as all are by now."""
    errors: list[FieldError] = []
    for index, entry in enumerate(entries):
        name, subresource = entry.get("manager", ""), entry.get("subresource", "")
        if len(name) > MANAGER_LIMIT // 4 or not name.isprintable():
            errors += field_manager(name, f"{path}[{index}].manager")
        if len(subresource.encode()) > SUBRESOURCE_LIMIT:
            errors.append(too_long(f"{path}[{index}].subresource", SUBRESOURCE_LIMIT))
    return errors


def owner_references(references: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors = []
    controller = ""
    for index, reference in enumerate(references):
        at = f"{path}[{index}]"
        group, _, version = reference.get("apiVersion", "").rpartition("/")
        if not version:
            errors.append(
                invalid_value(f"{at}.apiVersion", reference.get("apiVersion", ""), "version must not be empty")
            )
        for key, what in (("kind", "kind"), ("name", "name"), ("uid", "uid")):
            if not reference.get(key):
                errors.append(invalid_value(f"{at}.{key}", "", f"{what} must not be empty"))
        if group == "" and version == "v1" and reference.get("kind") == "Event":
            errors.append(invalid_value(at, "v1, Kind=Event", "/v1, Kind=Event is disallowed from being an owner"))
        if reference.get("controller"):
            if controller:
                other = reference.get("name", "")
                errors.append(
                    invalid_value(
                        path,
                        list(references),
                        "Only one reference can have Controller set to true. "
                        f'Found "true" in references for {controller} and {other}',
                    )
                )
            controller = reference.get("name", "")
    return errors


ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


def finalizers(names: Sequence[str], path: str) -> list[FieldError]:
    errors = []
    for name in names:
        errors += [invalid_value(path, name, text) for text in qualified_name(name)]
        if "/" not in name and name not in (ORPHAN, FOREGROUND, "kubernetes"):
            errors.append(
                invalid_value(path, name, "name is neither a standard finalizer name nor is it fully qualified")
            )
    if ORPHAN in names and FOREGROUND in names:
        text = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        errors.append(invalid_value(path, list(names), text))
    return errors


PARTS: Sequence[tuple[str, Callable[[Any, str], list[FieldError]]]] = (
    ("labels", labels),
    ("annotations", annotations),
    ("ownerReferences", owner_references),
    ("finalizers", finalizers),
    ("managedFields", managed_fields),
)


def object_meta_update(new: Mapping[str, Any], old: Mapping[str, Any], path: str = "metadata") -> list[FieldError]:
    """Everything wrong with a change of metadata. What the server itself keeps (uid, creationTimestamp,
    deletion fields when absent from `new`) must have been put back before."""
    errors: list[FieldError] = []
    if old.get("deletionTimestamp") is not None:
        added = [name for name in new.get("finalizers", ()) if name not in old.get("finalizers", ())]
        if added:
            shown = ", ".join(f'"{name}"' for name in sorted(added))
            text = "no new finalizers can be added if the object is being deleted, found new finalizers"
            errors.append(forbidden_value(f"{path}.finalizers", f"{text} []string{{{shown}}}"))
    if new.get("generation", 0) < old.get("generation", 0):
        errors.append(invalid_value(f"{path}.generation", new.get("generation", 0), "must not be decremented"))
    for key in ("name", "namespace", "uid", "creationTimestamp"):
        if new.get(key) != old.get(key):
            errors += immutable(new.get(key), old.get(key), f"{path}.{key}")
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if new.get(key) != old.get(key):
            errors.append(invalid_value(f"{path}.{key}", new.get(key), IMMUTABLE))
    return errors + _always(new, path, old)


def immutable(new: Any, old: Any, path: str) -> list[FieldError]:
    """[field is immutable] when the two differ; absent and "" are the same."""
    if (new or None) == (old or None):
        return []
    return [invalid_value(path, "" if new is None and isinstance(old, str) else new, IMMUTABLE)]


# Selectors


def label_selector(selector: Mapping[str, Any] | None, path: str, *, any_value: bool = False) -> list[FieldError]:
    """A metav1.LabelSelector. `any_value`: values that are no label values were there before and may stay."""
    if not selector:
        return []
    errors = labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, requirement in enumerate(selector.get("matchExpressions") or ()):
        errors += label_requirement(requirement, f"{path}.matchExpressions[{index}]", any_value=any_value)
    return errors


def label_requirement(requirement: Mapping[str, Any], path: str, *, any_value: bool = False) -> list[FieldError]:
    errors = []
    operator = requirement.get("operator", "")
    values = requirement.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden_value(f"{path}.values", text))
    else:
        errors.append(invalid_value(f"{path}.operator", operator, "not a valid selector operator"))
    key = requirement.get("key", "")
    errors += [invalid_value(f"{path}.key", key, text) for text in qualified_name(key)]
    if not any_value:
        for index, value in enumerate(values):
            errors += [invalid_value(f"{path}.values[{index}]", value, text) for text in label_value(value)]
    return errors


# Small checks that many kinds use


def non_negative(value: int, path: str) -> list[FieldError]:
    return [] if value >= 0 else [invalid_value(path, value, "must be greater than or equal to 0")]


def one_of(value: Any, choices: Sequence[str], path: str) -> list[FieldError]:
    """Required, and one of the choices."""
    if not value:
        return [required(path)]
    return [] if value in choices else [not_supported(path, value, choices)]
