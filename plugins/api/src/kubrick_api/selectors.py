"""Label and field selectors: parsed once, then asked of many objects.

The string form ("app=web,tier in (a, b),!x") with apimachinery's grammar and error texts, and the object
form (metav1.LabelSelector). Both become a `LabelSelector` whose `matches` is a handful of dict look-ups.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from kubrick_api import validation
from kubrick_api.errors import StatusError, bad_request
from kubrick_api.goshow import quoted

IN, NOT_IN, EXISTS, DOES_NOT_EXIST, GREATER, LESS = "in", "notin", "exists", "!", "gt", "lt"
EQUALS, DOUBLE_EQUALS, NOT_EQUALS = "=", "==", "!="
_LISTED = "'=', '!=', '==', 'in', notin'"


class SelectorError(ValueError):
    """A selector that can't be parsed, in apimachinery's words."""

    def status(self) -> StatusError:
        return bad_request(str(self))


@frozen
class Requirement:
    """One condition on one label. `operator` is one of in, notin, exists, !, gt, lt, =, ==, !=."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        operator = self.operator
        if operator in (IN, EQUALS, DOUBLE_EQUALS):
            return labels.get(self.key) in self.values
        if operator in (NOT_IN, NOT_EQUALS):
            return labels.get(self.key) not in self.values
        if operator == EXISTS:
            return self.key in labels
        if operator == DOES_NOT_EXIST:
            return self.key not in labels
        found = labels.get(self.key, "")
        if not re.fullmatch(r"[+-]?[0-9]+", found):
            return False
        return int(found) > int(self.values[0]) if operator == GREATER else int(found) < int(self.values[0])

    def __str__(self) -> str:
        if self.operator == EXISTS:
            return self.key
        if self.operator == DOES_NOT_EXIST:
            return f"!{self.key}"
        if self.operator in (IN, NOT_IN):
            return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
        sign = {GREATER: ">", LESS: "<"}.get(self.operator, self.operator)
        return f"{self.key}{sign}{self.values[0]}"


@frozen
class LabelSelector:
    """All requirements must hold. No requirement at all selects everything; `nothing` selects nothing."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    _equals: tuple[tuple[str, str], ...] = field(init=False, repr=False, eq=False)
    _others: tuple[Requirement, ...] = field(init=False, repr=False, eq=False)

    @_equals.default
    def _collect_equals(self) -> tuple[tuple[str, str], ...]:
        return tuple((r.key, r.values[0]) for r in self.requirements if _is_equality(r))

    @_others.default
    def _collect_others(self) -> tuple[Requirement, ...]:
        return tuple(r for r in self.requirements if not _is_equality(r))

    @classmethod
    def parse(cls, text: str) -> "LabelSelector":
        """From the string form. Raises SelectorError."""
        return cls(tuple(sorted(_Parser(text).requirements(), key=lambda r: r.key)))

    @property
    def everything(self) -> bool:
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        if self.nothing:
            return False
        labels = labels or {}
        for key, value in self._equals:
            if labels.get(key) != value:
                return False
        return all(requirement.matches(labels) for requirement in self._others)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


def _is_equality(requirement: Requirement) -> bool:
    return requirement.operator in (EQUALS, DOUBLE_EQUALS, IN) and len(requirement.values) == 1


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)
_OBJECT_OPERATORS = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": DOES_NOT_EXIST}


def from_label_selector(selector: Mapping[str, Any] | None) -> LabelSelector:
    """From a metav1.LabelSelector: None selects nothing, an empty one everything. Raises SelectorError."""
    if selector is None:
        return NOTHING
    found = [Requirement(key, EQUALS, (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _OBJECT_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(f'"{expression.get("operator", "")}" is not a valid label selector operator')
        found.append(requirement(expression.get("key", ""), operator, expression.get("values") or ()))
    return LabelSelector(tuple(sorted(found, key=lambda r: r.key)))


def from_labels(labels: Mapping[str, str]) -> LabelSelector:
    """Exactly these labels, as a Service's or ReplicationController's selector means it."""
    return LabelSelector(tuple(Requirement(key, EQUALS, (labels[key],)) for key in sorted(labels)))


def requirement(key: str, operator: str, values: Sequence[str]) -> Requirement:
    """A checked requirement. Raises SelectorError."""
    errors = []
    if wrong := validation.qualified_name(key):
        errors.append(f"key: Invalid value: {quoted(key)}: {'; '.join(wrong)}")
    if operator in (IN, NOT_IN) and not values:
        errors.append("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
    elif operator in (EQUALS, DOUBLE_EQUALS, NOT_EQUALS) and len(values) != 1:
        errors.append("values: Invalid value: exact-match compatibility requires one single value")
    elif operator in (EXISTS, DOES_NOT_EXIST) and values:
        errors.append("values: Invalid value: values set must be empty for exists and does not exist")
    elif operator in (GREATER, LESS) and not (len(values) == 1 and re.fullmatch(r"[+-]?[0-9]+", values[0])):
        shown = quoted(values[0] if values else "")
        errors.append(f"values[0]: Invalid value: {shown}: for 'Gt', 'Lt' operators, the value must be an integer")
    for index, value in enumerate(values):
        if wrong := validation.label_value(value):
            errors.append(f"values[{index}][{key}]: Invalid value: {quoted(value)}: {'; '.join(wrong)}")
    if errors:
        raise SelectorError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    return Requirement(key, operator, tuple(values))


_WORD = re.compile(r"\s*(?:(!=|==|[=!><(),])|([^\s=!><(),]+))")
_SPECIAL = frozenset({"!=", "==", "=", "!", ">", "<", "(", ")", ","})


class _Parser:
    """Recursive descent over apimachinery's selector grammar. Brackets, commas and operators are words of their own."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        at = 0
        while match := _WORD.match(text, at):
            self._words.append(match[1] or match[2])
            at = match.end()
        self._at = 0

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        if not self._words:
            return found
        while True:
            word = self._peek()
            if word in _SPECIAL - {"!"} or not word:
                raise SelectorError(f"found '{word}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            word = self._next()
            if not word:
                return found
            if word != ",":
                raise SelectorError(f"found '{word}', expected: ',' or 'end of string'")
            following = self._peek()
            if following != "!" and (not following or following in _SPECIAL):
                raise SelectorError(f"found '{following}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        operator = ""
        if self._peek() == "!":
            self._next()
            operator = DOES_NOT_EXIST
        key = self._next()
        if not key or key in _SPECIAL:
            raise SelectorError(f"found '{key}', expected: identifier")
        if errors := validation.qualified_name(key):
            raise SelectorError(f"key: Invalid value: {quoted(key)}: {'; '.join(errors)}")
        following = self._peek()
        if operator == DOES_NOT_EXIST or following in ("", ","):
            return requirement(key, operator or EXISTS, ())
        self._next()
        if following in (IN, NOT_IN):
            return requirement(key, following, self._values())
        operators = {EQUALS: EQUALS, DOUBLE_EQUALS: DOUBLE_EQUALS, NOT_EQUALS: NOT_EQUALS, ">": GREATER, "<": LESS}
        if following not in operators:
            raise SelectorError(f"found '{following}', expected: in, notin, =, ==, !=, gt, lt")
        return requirement(key, operators[following], (self._exact(),))

    def _exact(self) -> str:
        if self._peek() in ("", ","):
            return ""
        word = self._next()
        if word in _SPECIAL:
            raise SelectorError(f"found '{word}', expected: identifier")
        return word

    def _values(self) -> tuple[str, ...]:
        """What stands in brackets; nothing between commas, or at all, is an empty value."""
        word = self._next()
        if word != "(":
            raise SelectorError(f"found '{word}' expected: '('")
        first = self._peek()
        if first == ")":
            self._next()
            return ("",)
        if first != "," and (not first or first in _SPECIAL):
            raise SelectorError(f"found '{first}', expected: ',', ')' or identifier")
        values: list[str] = []
        comma = True
        while (word := self._next()) != ")":
            if word == ",":
                if comma:
                    values.append("")
                comma = True
            elif not word or word in _SPECIAL:
                wanted = "',', or identifier" if comma else "',' or ')'"
                raise SelectorError(f"found '{word}', expected: {wanted}")
            elif not comma:
                raise SelectorError(f"found '{word}', expected: ',' or ')'")
            else:
                values.append(word)
                comma = False
        return tuple(dict.fromkeys([*values, ""] if comma else values))


_SIGNS = ("!=", "==", "=")
"""Of fields; the first in the text counts, and the longest of those that begin at one place."""


@frozen
class FieldSelector:
    """All terms (field, is it =, value) must hold."""

    terms: tuple[tuple[str, bool, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "FieldSelector":
        """From "status.phase!=Running,spec.nodeName=n1". Raises SelectorError."""
        terms = []
        for part in _split(text):
            found = [(at, order) for order, sign in enumerate(_SIGNS) if (at := _find_unescaped(part, sign)) >= 0]
            if not found:
                raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
            at, order = min(found)
            sign = _SIGNS[order]
            terms.append((part[:at], sign != "!=", _unescape(part[at + len(sign) :])))
        return cls(tuple(terms))

    @property
    def everything(self) -> bool:
        return not self.terms

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with these fields (see Strategy.selectable_fields) is selected."""
        return all((fields.get(name, "") == value) is equal for name, equal, value in self.terms)

    def check(self, supported: Callable[[str], bool]) -> None:
        """Raises SelectorError when a field is not `supported`."""
        for name, _, _ in self.terms:
            if not supported(name):
                raise SelectorError(f"field label not supported: {name}")

    def exact(self, name: str) -> str | None:
        """The value that the selector demands of a field, if it does."""
        return next((value for field, equal, value in self.terms if field == name and equal), None)

    def __str__(self) -> str:
        return ",".join(f"{name}{'=' if equal else '!='}{_escape(value)}" for name, equal, value in self.terms)


def _split(text: str) -> list[str]:
    parts, current, escaped = [], "", False
    for char in text:
        if char == "," and not escaped:
            parts.append(current)
            current = ""
        else:
            current += char
        escaped = char == "\\" and not escaped
    parts.append(current)
    return [part for part in parts if part]


def _find_unescaped(text: str, sign: str) -> int:
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text.startswith(sign, at):
            return at
        at += 1
    return -1


def _unescape(text: str) -> str:
    result, escaped = "", False
    for char in text:
        if escaped:
            if char not in "\\,=":
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{char}")
            result += char
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {char}")
        else:
            result += char
    if escaped:
        raise SelectorError("invalid field selector: invalid escape sequence: \\")
    return result


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
