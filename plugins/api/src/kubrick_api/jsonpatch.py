"""JSON Patch (RFC 6902): add, remove, replace, move, copy and test over JSON pointers (RFC 6901).

A patch that isn't one is answered with 400, one that doesn't apply with 422, as kube-apiserver does.
"""

from typing import Any

import orjson

from kubrick_api.codec import copy
from kubrick_api.equality import identical
from kubrick_api.errors import StatusError, bad_request, request_too_large
from kubrick_api.trouble import describe

OPERATIONS_LIMIT = 10_000
COPY_LIMIT = 3 * 1024 * 1024
"""How much all copies of one patch may add up to, in bytes: each could double what is there."""
REJECTED = "the server rejected our request due to an error in our request"


DIGITS = 18


class PatchError(ValueError):
    """The patch doesn't apply; the text says where."""


def rejected(why: str) -> StatusError:
    """422: well-formed, but it doesn't apply. kube-apiserver answers no more than that; `why` is kept as
    the exception's note, for logs."""
    error = StatusError(422, "Invalid", REJECTED, {})
    error.add_note(why)
    return error


def json_patch(original: Any, operations: Any) -> Any:
    """`original` with the operations applied, sharing nothing with it. Raises StatusError."""
    if not isinstance(operations, list):
        raise bad_request(f"json: cannot unmarshal {describe(operations, '')} into Go value of type jsonpatch.Patch")
    if len(operations) > OPERATIONS_LIMIT:
        error = request_too_large(0)
        error.message = (
            "Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{OPERATIONS_LIMIT}, got {len(operations)}"
        )
        raise error
    for operation in operations:
        if not isinstance(operation, dict):
            found = describe(operation, "")
            raise bad_request(f"json: cannot unmarshal {found} into Go value of type jsonpatch.Operation")
    document = copy(original)
    copied = 0
    try:
        for operation in operations:
            if operation.get("op") == "copy":
                copied += len(orjson.dumps(lookup(document, pointer(operation, "from"))))
                if copied > COPY_LIMIT:
                    raise PatchError(
                        "Unable to complete the copy, the accumulated size increase of copy is "
                        f"{copied}, exceeding the limit {COPY_LIMIT}"
                    )
            document = apply_operation(document, operation)
    except PatchError as error:
        raise rejected(str(error)) from None
    return document


def apply_operation(document: Any, operation: dict[str, Any]) -> Any:
    """The document after one operation; changed in place unless the operation replaces the whole."""
    name = operation.get("op")
    path = pointer(operation, "path")
    if name in ("add", "replace") and "value" not in operation:
        raise PatchError(f"{name} operation does not apply: missing value")
    if name == "add":
        return add(document, path, copy(operation["value"]))
    if name == "remove":
        return remove(document, path)
    if name == "replace":
        lookup(document, path)
        return put(document, path, copy(operation["value"]))
    if name == "move":
        source = pointer(operation, "from")
        value = lookup(document, source)
        return add(remove(document, source), path, value)
    if name == "copy":
        return add(document, path, copy(lookup(document, pointer(operation, "from"))))
    if name == "test":
        return test(document, path, operation.get("value"))
    raise PatchError(f"Unexpected kind: {name}")


def pointer(operation: dict[str, Any], key: str) -> list[str]:
    """The parts of a JSON pointer: "/a~1b/0" → ["a/b", "0"]."""
    text = operation.get(key)
    if not isinstance(text, str):
        raise PatchError(f"{operation.get('op')} operation has no {key}")
    if text == "":
        return []
    if not text.startswith("/"):
        raise PatchError(f"{key} {text!r} doesn't begin with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def lookup(document: Any, path: list[str]) -> Any:
    for part in path:
        document = member(document, part, path)
    return document


def member(container: Any, part: str, path: list[str]) -> Any:
    if isinstance(container, dict):
        if part in container:
            return container[part]
    elif isinstance(container, list):
        return container[index(container, part, path, len(container) - 1)]
    raise PatchError(f"doc is missing path: /{'/'.join(path)}")


def index(container: list[Any], part: str, path: list[str], last: int) -> int:
    """An array index up to `last`; negative ones count from there, -1 being `last`, as the Go library has it."""
    digits = part[1:] if part[:1] in ("+", "-") else part
    if not (digits.isascii() and digits.isdigit()) or len(digits) > DIGITS:
        raise PatchError(f"/{'/'.join(path)}: {part!r} is no array index")
    number = int(part)
    if number < 0:
        number += last + 1
    if not 0 <= number <= last:
        raise PatchError(f"/{'/'.join(path)}: index {part} is out of bounds")
    return number


def add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    container = lookup(document, path[:-1])
    if isinstance(container, list):
        if path[-1] == "-":
            container.append(value)
        else:
            container.insert(index(container, path[-1], path, len(container)), value)
    elif isinstance(container, dict):
        container[path[-1]] = value
    else:
        raise PatchError(f"doc is missing path: /{'/'.join(path)}")
    return document


def put(document: Any, path: list[str], value: Any) -> Any:
    """Replace what is at `path`, which exists."""
    if not path:
        return value
    container = lookup(document, path[:-1])
    if isinstance(container, list):
        container[index(container, path[-1], path, len(container) - 1)] = value
    else:
        container[path[-1]] = value
    return document


def remove(document: Any, path: list[str]) -> Any:
    if not path:
        raise PatchError("the whole document can't be removed")
    container = lookup(document, path[:-1])
    member(container, path[-1], path)
    if isinstance(container, list):
        del container[index(container, path[-1], path, len(container) - 1)]
    else:
        del container[path[-1]]
    return document


def test(document: Any, path: list[str], value: Any) -> Any:
    """The document, unchanged, if `value` stands at `path`. A null matches what is absent."""
    try:
        found = lookup(document, path)
    except PatchError:
        found = None
        if value is not None:
            raise
    if not identical(found, value):
        raise PatchError(f"testing value /{'/'.join(path)} failed: test failed")
    return document
