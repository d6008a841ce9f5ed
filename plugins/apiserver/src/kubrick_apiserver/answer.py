"""What a verb came to, before anybody decided in which form to send it."""

from attrs import define, field

from kubrick_api.resource import Object
from kubrick_kernel import Item


@define(eq=False)
class Answer:
    """Either a stored `item` (whose bytes can be sent as they are) or an `obj` that is not in the store:
    a dry run's, a Status, a subresource's. `status` is the HTTP status."""

    item: Item | None = None
    obj: Object | None = None
    status: int = 200
    warnings: list[str] = field(factory=list)
