"""Which objects a list or watch is about: labels, fields, or one name.

A namespace is not part of it: that is a prefix of keys. A selection by name alone needs no decoding.
"""

from collections.abc import Callable
from functools import lru_cache

from kubrick_api.errors import bad_request, show
from kubrick_api.resource import Object, Resource
from kubrick_api.selectors import FieldSelector, LabelSelector, SelectorError
from kubrick_apiserver.options import ListOptions
from kubrick_kernel import Item

EVERYWHERE = frozenset(("metadata.name", "metadata.namespace"))
OTHER_WORDS = {
    "jobs.batch": 'field label "{}" not supported for batchv1.Job',
    "resourceslices.resource.k8s.io": "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {}",
}
"""What some say instead of "field label not supported"."""


class Selection:
    """`matches` tells of one stored item. `decode` gives its object."""

    def __init__(
        self,
        resource: Resource,
        labels: LabelSelector | None,
        fields: FieldSelector | None,
        key: bytes | None,
        decode: Callable[[Item], Object],
    ) -> None:
        self.resource = resource
        self.labels = labels
        self.fields = fields
        self.key = key
        """The only key there can be, when the request or the field selector names one object of one namespace."""
        self.decode = decode

    def matches(self, item: Item) -> bool:
        if self.key is not None and item.key != self.key:
            return False
        if self.labels is None and self.fields is None:
            return True
        obj = self.decode(item)
        metadata = obj["metadata"]
        if self.labels is not None and not self.labels.matches(metadata.get("labels") or {}):
            return False
        return self.fields is None or self.fields.matches(self._fields_of(obj))

    def _fields_of(self, obj: Object) -> dict[str, str]:
        metadata = obj["metadata"]
        return {
            "metadata.name": metadata.get("name", ""),
            "metadata.namespace": metadata.get("namespace", ""),
            **self.resource.strategy.selectable_fields(obj),
        }


@lru_cache(maxsize=256)
def _labels(text: str) -> LabelSelector:
    return LabelSelector.parse(text)


@lru_cache(maxsize=256)
def _fields(text: str) -> FieldSelector:
    return FieldSelector.parse(text)


def selection(
    resource: Resource, namespace: str, name: str, options: ListOptions, decode: Callable[[Item], Object]
) -> Selection | None:
    """What `options` and a name in the URL select; None for everything. Raises 400."""
    if not (options.label_selector or options.field_selector or name):
        return None
    try:
        labels = _labels(options.label_selector) if options.label_selector else None
        fields = _fields(options.field_selector) if options.field_selector else None
    except SelectorError as error:
        raise error.status() from None
    named = name
    if fields is not None:
        check_fields(resource, fields)
        named = name or fields.exact("metadata.name") or ""
        if named and len(fields.terms) == 1:
            fields = None
    if named and resource.namespaced and not namespace:
        return Selection(resource, labels, _fields(options.field_selector or f"metadata.name={named}"), None, decode)
    key = resource.key(namespace, named) if named else None
    return Selection(resource, labels, fields, key, decode)


def check_fields(resource: Resource, fields: FieldSelector) -> None:
    """Refuse fields that this resource can't be selected by. Raises 400."""
    own = resource.strategy.selectable_fields({"metadata": {}})
    supported = EVERYWHERE.union(own)
    if own and not resource.namespaced:
        # Those that name their fields leave this one out; all others have both.
        supported -= {"metadata.namespace"}
    unknown = next((name for name, _, _ in fields.terms if name not in supported), None)
    if unknown is not None and not own:
        raise bad_request(f'{show(unknown)} is not a known field selector: only "metadata.name", "metadata.namespace"')
    if unknown is not None:
        words = OTHER_WORDS.get(f"{resource.gvr.resource}.{resource.gvr.group}", "field label not supported: {}")
        raise bad_request(words.format(unknown))
