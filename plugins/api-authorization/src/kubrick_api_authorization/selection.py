"""The selectors in a review's resource attributes: which are mistakes, and which are passed over.

An authorizer may narrow a permission to what a list or watch selects. None here does; so what a selector says changes
no verdict, only what is said about it. As in kube-apiserver, one that is malformed is refused, while one that merely
isn't understood (an operator of a later version) is left out, which asks for more and so is safe, and is told in
evaluationError. From apiserver's pkg/apis/authorization/validation and pkg/registry/authorization/util.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.resource import Object
from kubrick_api.selectors import FieldSelector, LabelSelector, SelectorError, requirement
from kubrick_api.validation import label_requirement

AT = "spec.resourceAttributes"
KINDS = ("fieldSelector", "labelSelector")
OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
EXISTENCE = ("Exists", "DoesNotExist")


def selector_errors(attributes: Object) -> Iterator[FieldError]:
    """What is wrong with the form of either selector."""
    for kind in KINDS:
        found = attributes.get(kind)
        if found is None:
            continue
        at = f"{AT}.{kind}"
        raw, requirements = found.get("rawSelector") or "", found.get("requirements") or ()
        if raw and requirements:
            yield invalid_value(f"{at}.rawSelector", raw, "may not specified at the same time as requirements")
        if not raw and not requirements:
            why = f"when {at} is specified, requirements or rawSelector is required"
            yield required(f"{at}.requirements", why)
        check = _field_errors if kind == "fieldSelector" else _label_errors
        for i, each in enumerate(requirements):
            yield from check(each, f"{at}.requirements[{i}]")


def _label_errors(asked: Object, at: str) -> list[FieldError]:
    """As of any label selector, but that operators may be unknown."""
    found = label_requirement(asked, at)
    return [error for error in found if error.field != f"{at}.operator"]


def _field_errors(asked: Object, at: str) -> list[FieldError]:
    """The same, where any text is a key or a value."""
    found = label_requirement({**asked, "key": "any"}, at, any_value=True)
    errors = [error for error in found if error.field != f"{at}.operator"]
    return errors if asked.get("key") else [required(f"{at}.key", "must be specified"), *errors]


def ignored(attributes: Object) -> str:
    """What of the selectors isn't understood, "" if all is."""
    told = []
    for kind, parse, read in (
        ("fieldSelector", FieldSelector.parse, _field),
        ("labelSelector", LabelSelector.parse, _label),
    ):
        understood, troubles = _tried(attributes.get(kind) or {}, parse, read)
        if troubles:
            how = "partially ignored" if understood else "ignored"
            told.append(f"{AT}.{kind} {how} due to parse error: {_aggregate(troubles)}")
    return _aggregate(told) if told else ""


def _tried(
    selector: Object, parse: Callable[[str], Any], read: Callable[[Object], object]
) -> tuple[int, Sequence[str]]:
    """How many requirements are understood, and why the others aren't."""
    understood, troubles = 0, []
    if selector.get("rawSelector"):
        try:
            parse(selector["rawSelector"])
        except SelectorError as error:
            troubles.append(str(error))
    for each in selector.get("requirements") or ():
        try:
            read(each)
            understood += 1
        except SelectorError as error:
            troubles.append(str(error))
    return understood, troubles


def _aggregate(texts: Sequence[str]) -> str:
    """Several errors as one, each told once."""
    texts = list(dict.fromkeys(texts))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _label(asked: Object) -> None:
    """Raises SelectorError."""
    operator = asked.get("operator") or ""
    if operator not in OPERATORS:
        raise SelectorError(f'"{operator}" is not a valid label selector operator')
    requirement(asked.get("key") or "", OPERATORS[operator], asked.get("values") or ())


def _field(asked: Object) -> None:
    """Raises SelectorError: fields are compared with one value, or not at all."""
    operator, values = asked.get("operator") or "", asked.get("values") or ()
    if len(values) > 1:
        raise SelectorError("fieldSelectors do not yet support multiple values")
    if operator in EXISTENCE:
        raise SelectorError(f"fieldSelectors do not yet support {operator}")
    if operator not in OPERATORS:
        raise SelectorError(f'"{operator}" is not a valid field selector operator')
