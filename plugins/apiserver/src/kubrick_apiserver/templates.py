"""Bodies seen before: whoever creates many objects sends the same text again and again, but for the name.

What decoding, pruning, defaulting and taking ownership make of such a text is the same each time, but for the
name and the time. So the text around the name is remembered with what came of it, and the next one is put
together instead of being worked out. Only what can't be mistaken is remembered: text in which the name stands
once, nothing to warn of, one owner, and a result in which the name stands once again.
"""

import re

import orjson

from kubrick_api.resource import Object, Resource
from kubrick_api.schema import Type
from kubrick_api.storage import Call

SENDERS = 256
"""How many combinations of kind, namespace and client are remembered."""
EACH = 4
"""How many texts of one of them."""
LARGEST = 16_384
ESCAPE = b"\\u"
"""With this a name can be written in other ways, and the text that looks like it may be something else."""

is_name = re.compile(rb"[a-z0-9][-.a-z0-9]{4,251}[a-z0-9]\Z").match
"""Names that are themselves in JSON, and seldom part of something else."""

Key = tuple[int, str, str, str]
Known = tuple[bytes, bytes, bytes, bytes, Type]
"""What is before and after the name, in the text and in what came of it; and the type it was read by."""


class Templates:
    """See the module."""

    def __init__(self) -> None:
        self._known: dict[Key, list[Known]] = {}

    def find(self, resource: Resource, schema: Type, call: Call, data: bytes, now: str) -> Object | None:
        """What becomes of `data`, at the time `now`; private. None when that isn't known."""
        for before, after, made, rest, known in self._known.get(
            (id(resource), call.namespace, call.user_agent, call.user.name), ()
        ):
            if data.startswith(before) and data.endswith(after) and known is schema:
                name = data[len(before) : len(data) - len(after)]
                if not is_name(name):
                    continue
                obj: Object = orjson.loads(b"%b%b%b" % (made, name, rest))
                for owner in obj["metadata"].get("managedFields") or ():
                    owner["time"] = now
                return obj
        return None

    def learn(self, resource: Resource, schema: Type, call: Call, data: bytes, obj: Object, now: str) -> None:
        """`obj` is what became of `data`, without a warning, at the time `now`."""
        metadata = obj["metadata"]
        owners = metadata.get("managedFields") or ()
        if len(data) > LARGEST or len(owners) > 1 or any(owner.get("time") != now for owner in owners):
            return
        name = str(metadata.get("name") or "").encode()
        if not is_name(name) or data.count(name) != 1 or ESCAPE in data:
            return
        try:
            made = orjson.dumps(obj)
        except TypeError:  # a number that only Python can hold
            return
        if made.count(name) != 1:
            return
        before, after = data.split(name)
        start, rest = made.split(name)
        if not before.endswith(b'"') or not after.startswith(b'"'):
            return  # it is part of another text, and the name itself is written in some other way
        key = id(resource), call.namespace, call.user_agent, call.user.name
        if key not in self._known and len(self._known) >= SENDERS:
            self._known.clear()
        texts = self._known.setdefault(key, [])
        texts.insert(0, (before, after, start, rest, schema))
        del texts[EACH:]
