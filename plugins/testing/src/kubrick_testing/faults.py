"""Server errors that kube-apiserver answers with, too: the only ones a property test may pass over.

Each is known by its code, its reason, its words and what in the request leads to it: `known` is false for any
other answer from 500 on, which is a fault of ours. What isn't a Status when it reaches kube-apiserver's response
writer is answered with 500 and no reason; most of these are of that kind.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from kubrick_api.fields.gotext import string_text, value_text

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
STRATEGIC = "application/strategic-merge-patch+json"
UNREADABLE: Any = object()
"""The body of a request whose bytes can't be read."""
NOTHING: Any = object()
"""The body of a request that has none."""


@frozen
class Asked:
    """A request, as far as it matters here."""

    method: str
    resource: str
    subresource: str = ""
    query: Mapping[str, str] = field(factory=dict)
    media: str = JSON
    body: Any = NOTHING
    """Decoded."""
    stored: Any = None
    """The object that it is about, where that is known."""


def body_of(data: bytes) -> Any:
    """What JSON says, as Go would read it."""
    if not data:
        return NOTHING
    try:
        return _whole(json.loads(data.decode("utf-8", "replace"), parse_constant=_refuse, parse_float=_finite))
    except (ValueError, RecursionError):
        return UNREADABLE


def known(asked: Asked, code: int, reason: str, message: str) -> bool:
    """Whether kube-apiserver would have answered the same."""
    for fault in FAULTS:
        said = re.fullmatch(fault.words, message, re.DOTALL)
        if said and (fault.code, fault.reason) == (code, reason) and fault.leads(asked, said):
            return True
    return False


@frozen
class Fault:
    """One of them. `why` is what happens in kube-apiserver."""

    why: str
    words: str
    leads: Callable[[Asked, re.Match[str]], bool]
    code: int = 500
    reason: str = ""


def _refuse(text: str) -> Any:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    return _refuse(text) if math.isinf(number) else number


def _whole(value: Any) -> Any:
    """`value` with halves of characters replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(member) for key, member in value.items()}
    return [_whole(member) for member in value] if isinstance(value, list) else value


def _inside(value: Any) -> Iterator[Any]:
    """A value and all in it."""
    yield value
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _inside(member)


def _maps(*values: Any) -> list[dict[str, Any]]:
    return [each for value in values for each in _inside(value) if isinstance(each, dict)]


def _lists(*values: Any) -> list[list[Any]]:
    return [each for value in values for each in _inside(value) if isinstance(each, list)]


def _type(value: Any) -> str:
    names = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


# A future revision, a revision for what doesn't exist yet


def _future(asked: Asked, said: re.Match[str]) -> bool:
    asks = asked.method == "GET" or (asked.method == "DELETE" and not asked.subresource)
    return asks and asked.query.get("resourceVersion") == said["asked"] and int(said["asked"]) > int(said["now"])


def _revision_of_the_new(asked: Asked, _: re.Match[str]) -> bool:
    metadata = asked.body.get("metadata") if isinstance(asked.body, dict) else None
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    creates = asked.method == "POST" and not asked.subresource
    return creates and isinstance(version, str) and version.isdecimal() and int(version) > 0


# DeleteOptions


def _deletes(media: str) -> Callable[[Asked, re.Match[str]], bool]:
    def leads(asked: Asked, _: re.Match[str]) -> bool:
        return asked.method == "DELETE" and asked.media == media and asked.body is UNREADABLE

    return leads


def _deletes_with_no_object(asked: Asked, said: re.Match[str]) -> bool:
    return asked.method == "DELETE" and not isinstance(asked.body, dict) and _type(asked.body) == said["found"]


def _deletes_with_options(asked: Asked) -> bool:
    return asked.method == "DELETE" and isinstance(asked.body, dict)


def _deletes_with_no_kind(asked: Asked, said: re.Match[str]) -> bool:
    return _deletes_with_options(asked) and _type(asked.body.get(said["field"])) == said["found"] != "string"


def _deletes_with_another_kind(asked: Asked, said: re.Match[str]) -> bool:
    return _deletes_with_options(asked) and asked.body.get("kind") == said["kind"] != "DeleteOptions"


OPTIONS = {
    "preconditions": ("object", "v1.Preconditions"),
    "preconditions.uid": ("string", "types.UID"),
    "preconditions.resourceVersion": ("string", "string"),
    "dryRun": ("array", "[]string"),
    "gracePeriodSeconds": ("number", "int64"),
    "propagationPolicy": ("string", "v1.DeletionPropagation"),
    "orphanDependents": ("bool", "bool"),
    "ignoreStoreReadErrorWithClusterBreakingPotential": ("bool", "bool"),
}


def _deletes_with_a_wrong_type(asked: Asked, said: re.Match[str]) -> bool:
    if not _deletes_with_options(asked) or said["path"] not in OPTIONS:
        return False
    value = asked.body
    for name in said["path"].split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if said["path"] == "dryRun" and isinstance(value, list):
        return said["go"] == "string" and any(_type(each) == said["found"] != "string" for each in value)
    right, go = OPTIONS[said["path"]]
    fits = _type(value) == right and (go != "int64" or (isinstance(value, int) and -(2**63) < value < 2**63))
    return said["go"] == go and _type(value) == said["found"] and not fits


# Strategic merge patches


def _patches(asked: Asked) -> bool:
    return asked.method == "PATCH" and asked.media == STRATEGIC and isinstance(asked.body, dict)


def _unknown_directive(asked: Asked, said: re.Match[str]) -> bool:
    directed = [each for each in _maps(asked.body) if "$patch" in each]
    found = [(string_text(each["$patch"]), value_text(each)) for each in directed]
    return _patches(asked) and (said["directive"], said["map"]) in found


def _merging_directive(asked: Asked, _: re.Match[str]) -> bool:
    items = [item for each in _lists(asked.body) for item in each if isinstance(item, dict)]
    return _patches(asked) and any(item.get("$patch") == "merge" for item in items)


def _no_merge_key(asked: Asked, said: re.Match[str]) -> bool:
    stored = asked.stored if _lists(asked.body) else None
    keyless = [value_text(each) for each in _maps(asked.body, stored) if said["key"] not in each]
    return _patches(asked) and said["map"] in keyless


def _mixed(asked: Asked, said: re.Match[str]) -> bool:
    return _patches(asked) and any(said["lists"].endswith(f" {value_text(each)}]") for each in _lists(asked.body))


def _never_keyed(asked: Asked, _: re.Match[str]) -> bool:
    return _patches(asked) and any(isinstance(item, dict) for each in _lists(asked.body) for item in each)


def _out_of_order(asked: Asked, said: re.Match[str]) -> bool:
    return _patches(asked) and any(
        value_text(order) == said["order"] and value_text(each.get(name.partition("/")[2])) == said["list"]
        for each in _maps(asked.body)
        for name, order in each.items()
        if name.startswith("$setElementOrder/")
    )


def _orders(asked: Asked, _: re.Match[str]) -> bool:
    return _patches(asked) and any(name.startswith("$setElementOrder") for each in _maps(asked.body) for name in each)


# Subresources of pods


def _binds_to_nothing(asked: Asked, said: re.Match[str]) -> bool:
    if asked.method != "POST" or "binding" not in (asked.subresource, asked.resource.removesuffix("s")):
        return False
    target = asked.body.get("target") if isinstance(asked.body, dict) else None
    target = target if isinstance(target, dict) else {}
    wrong_kind = target.get("kind") not in (None, "", "Node")
    return wrong_kind == bool(said["kind"]) and (not target.get("name")) == bool(said["name"])


def _evicts(asked: Asked, _: re.Match[str]) -> bool:
    return asked.method == "POST" and (asked.resource, asked.subresource) == ("pods", "eviction")


def _evicts_half_dry(asked: Asked, said: re.Match[str]) -> bool:
    options = asked.body.get("deleteOptions") if isinstance(asked.body, dict) else None
    content = options.get("dryRun") if isinstance(options, dict) else None
    return _evicts(asked, said) and f"[{asked.query.get('dryRun')}]" == said["request"] != said[
        "content"
    ] == value_text(content)


PARSE = "couldn't get version/kind; json parse error: "
HEAD = r'struct \{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" \}'
SCHEME = r"pkg/apis/meta/internalversion/scheme/register\.go:27"
PROTO = (
    r"the data does not begin with the prefix k8s\\x00|no kind \".*\" is registered for version \".*\"|"
    r"field \d+ (\(\w+\) has wire type \d+, not \d+|is cut off|has the unknown wire type \d+)|"
    r"a number does not end|a string is not UTF-8|embedded JSON: .*|-?\d+ s since 1970 is no time"
)
TARGET = (
    r"(?=.)(?P<open>\[)?(?P<kind>target\.kind: Unsupported value: \".*\": supported values: \"Node\", \"<empty>\")?"
    r"(?(open), )(?P<name>target\.name: Required value)?(?(open)\])"
)
BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."

FAULTS = (
    Fault(
        "storage: a timeout error, and clients wait and try again",
        r"Timeout: Too large resource version: (?P<asked>\d+), current: (?P<now>\d+)",
        _future,
        504,
        "Timeout",
    ),
    Fault(
        "storage: an error that the registry passes on as it is",
        "resourceVersion should not be set on objects to be created",
        _revision_of_the_new,
    ),
    # endpoints/handlers/delete.go passes the decoder's errors on as they are
    Fault("the JSON decoder", rf"{PARSE}(unexpected end of JSON input|invalid character .+)", _deletes(JSON)),
    Fault("the YAML decoder", r"(error converting YAML to JSON: )?yaml: .+", _deletes(YAML)),
    Fault("the protobuf decoder", PROTO, _deletes(PROTOBUF)),
    Fault(
        "the decoder looks for the kind first",
        rf"{PARSE}json: cannot unmarshal (?P<found>\w+) into Go value of type {HEAD}",
        _deletes_with_no_object,
    ),
    Fault(
        "the decoder looks for the kind first",
        rf"{PARSE}json: cannot unmarshal (?P<found>\w+) into Go struct field \.(?P<field>\w+) of type string",
        _deletes_with_no_kind,
    ),
    Fault(
        "the scheme of options knows no other kinds",
        rf'no kind "(?P<kind>.*)" is registered for version ".*" in scheme "{SCHEME}"',
        _deletes_with_another_kind,
    ),
    Fault(
        "the JSON decoder",
        r"json: cannot unmarshal (?P<found>\w+)(?: \S+)? into Go struct field (?:DeleteOptions|Preconditions)\."
        r"(?P<path>[\w.]+) of type (?P<go>\S+)",
        _deletes_with_a_wrong_type,
    ),
    # handlers/patch.go: interpretStrategicMergePatchError knows seven errors and passes on the others
    Fault("ErrBadPatchType", r"unknown patch type: (?P<directive>.*?) in map: (?P<map>map\[.*\])", _unknown_directive),
    Fault("mergeSliceWithSpecialElements", "merging lists cannot yet be specified in the patch", _merging_directive),
    Fault(
        "ErrNoMergeKey",
        r"map: (?P<map>map\[.*\]) does not contain declared merge key: (?P<key>\w+)",
        _no_merge_key,
    ),
    Fault("sliceElementType", r"list element types are not identical: (?P<lists>\[\[.*\] \[.*\]\])", _mixed),
    Fault("mergeSlice", r"cannot merge lists without merge key for (struct|string)", _never_keyed),
    Fault(
        "validatePatchWithSetOrderList",
        r"The order in patch list:\n(?P<list>\[.*\])\n doesn't match \$setElementOrder list:\n(?P<order>\[.*\])\n",
        _out_of_order,
    ),
    Fault(
        "ErrBadArgType",
        r"expected a (\[\]|map\[string\])interface \{\}, but received a (string|bool|int64|float64|<nil>|"
        r"\[\]interface \{\}|map\[string\]interface \{\})",
        _orders,
    ),
    Fault("findMapInSliceBasedOnKeyValue", r"value for key \d+ is not a map", _orders),
    # registry/core/pod/storage
    Fault("BindingREST returns ValidatePodBinding's errors as an aggregate", TARGET, _binds_to_nothing),
    Fault("EvictionREST returns a Status of its own, without a reason", re.escape(BUDGETS), _evicts),
    Fault(
        "EvictionREST: propagateDryRun's error is no Status",
        r"Non-matching dry-run options in request and content: (?P<request>\[.*?\]) and (?P<content>\[.*\])",
        _evicts_half_dry,
    ),
)
