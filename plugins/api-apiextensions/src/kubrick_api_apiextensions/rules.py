"""x-kubernetes-validations: what a rule must have, and that it compiles against the schema it stands in.

Wording is that of apiextensions-apiserver (validation, and schema/cel). What a rule may cost is not estimated.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kubrick_api.errors import FieldError, invalid_value, not_supported, required
from kubrick_api_apiextensions.internal import shown_rule
from kubrick_api_apiextensions.shapes import shape

if TYPE_CHECKING:
    from kubrick_cel.environment import Environment

Errors = Iterator[FieldError]
Schema = dict[str, Any]

RULES = "x-kubernetes-validations"
REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
MAX_MESSAGE = 2048
_NEWLINES = re.compile("[\n\r]")
_STEP = re.compile(r"\.([^.\[\]']+)|\['((?:[^'\\]|\\.)+)'\]")
_OLD = re.compile(r"\boldSelf\b")


def validate_forms(schema: Schema, at: str) -> Errors:
    """Rules as texts, before any is compiled."""
    for i, rule in enumerate(schema.get(RULES) or ()):
        yield from _form(rule, schema, f"{at}.{RULES}[{i}]")


def _form(rule: Schema, schema: Schema, at: str) -> Errors:
    text, message, computed = ((rule.get(name) or "") for name in ("rule", "message", "messageExpression"))
    trimmed, path = message.strip(), rule.get("fieldPath") or ""
    if not text.strip():
        yield required(f"{at}.rule", "rule is not specified")
    elif message and not trimmed:
        yield invalid_value(f"{at}.message", message, "message must be non-empty if specified")
    elif len(message.encode()) > MAX_MESSAGE:
        why = f"message must have a maximum length of {MAX_MESSAGE} characters"
        yield invalid_value(f"{at}.message", f"{message[:10]}...", why)
    elif _NEWLINES.search(trimmed):
        yield invalid_value(f"{at}.message", message, "message must not contain line breaks")
    elif _NEWLINES.search(text.strip()) and not trimmed:
        yield required(f"{at}.message", "message must be specified if rule contains line breaks")
    if computed and not computed.strip():
        yield required(f"{at}.messageExpression", "messageExpression must be non-empty if specified")
    if (reason := rule.get("reason")) is not None and reason not in REASONS:
        yield not_supported(f"{at}.reason", reason, REASONS)
    if path and not path.strip():
        yield invalid_value(f"{at}.fieldPath", path, "fieldPath must be non-empty if specified")
    if _NEWLINES.search(path):
        yield invalid_value(f"{at}.fieldPath", path, "fieldPath must not contain line breaks")
    if path and not _leads_somewhere(path, schema):
        yield invalid_value(f"{at}.fieldPath", path, "fieldPath must be a valid path")


def _leads_somewhere(path: str, schema: Schema) -> bool:
    """Whether a field path names a part of this schema; it may not go into lists."""
    part: Any = schema
    while path:
        step = _STEP.match(path)
        if step is None:
            return False
        name = step[1] or re.sub(r"\\(.)", r"\1", step[2])
        part = (part.get("properties") or {}).get(name) or part.get("additionalProperties")
        if not isinstance(part, dict):
            return False
        path = path[step.end() :]
    return True


def validate_rules(schema: Schema, at: str, *, root: bool = True, unmatched: str = "") -> Errors:
    """Every rule in a schema whose form is right, compiled. `unmatched` is the path of the list around it, the
    entries of which can't be told apart between an old object and a new one."""
    if schema.get(RULES):
        yield from _compiled(schema, f"{at}.{RULES}", root, unmatched)
    for name, part in (schema.get("properties") or {}).items():
        yield from validate_rules(part or {}, f"{at}.properties[{name}]", root=False, unmatched=unmatched)
    if isinstance(schema.get("additionalProperties"), dict):
        here = f"{at}.additionalProperties"
        yield from validate_rules(schema["additionalProperties"], here, root=False, unmatched=unmatched)
    if isinstance(schema.get("items"), dict):
        if schema.get("x-kubernetes-list-type") != "map" and not unmatched:
            unmatched = at
        yield from validate_rules(schema["items"], f"{at}.items", root=False, unmatched=unmatched)


def _compiled(schema: Schema, at: str, root: bool, unmatched: str) -> Errors:
    environments: dict[bool, Environment] = {}
    for i, rule in enumerate(schema[RULES]):
        late = bool(rule.get("optionalOldSelf"))
        environment = environments[late] = environments.get(late) or _environment(schema, root, late)
        shown = shown_rule(rule)
        checked = environment.check(rule["rule"])
        if checked.error:
            yield invalid_value(f"{at}[{i}].rule", shown, checked.error)
        elif checked.type not in ("bool", None):
            yield invalid_value(f"{at}[{i}].rule", shown, "cel expression must evaluate to a bool")
        if computed := rule.get("messageExpression"):
            checked = environment.check(computed)
            why = f"messageExpression {checked.error}" if checked.error else ""
            if not why and checked.type not in ("string", None):
                why = "messageExpression must evaluate to a string"
            if why:
                yield invalid_value(f"{at}[{i}].messageExpression", shown, why)
        if not _OLD.search(rule["rule"]):
            if rule.get("optionalOldSelf") is not None:
                why = "may not be set if oldSelf is not used in rule"
                yield invalid_value(f"{at}[{i}].optionalOldSelf", rule["optionalOldSelf"], why)
        elif unmatched:
            why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {unmatched}"
            yield invalid_value(f"{at}[{i}].rule", rule["rule"], why)


def _environment(schema: Schema, root: bool, late: bool) -> "Environment":
    from kubrick_cel.environment import Environment
    from kubrick_cel.shapes import ANY

    own = shape(schema, root=root) or ANY
    return Environment({"self": own, "oldSelf": ANY if late else own})
