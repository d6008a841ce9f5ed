"""The registry: every verb on every resource, behind one door for HTTP and for this process.

It holds what the verbs share (catalog, bus, admission chain, clock) and sends each call to the module of
its subject: `read`, `watching`, `creation`, `write`, `removal`, `subresources`. It is also what strategies and
admission plugins see of the server: `kubrick_api.storage.Reader` and `Storage`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubrick_api import codec
from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError, internal, method_not_allowed, unknown_path
from kubrick_api.names import GVR
from kubrick_api.resource import Object, Resource
from kubrick_api.storage import Call, Reader, UserInfo, WriteContext
from kubrick_apiserver import creation, read, removal, subresources, write
from kubrick_apiserver.answer import Answer
from kubrick_apiserver.audience import Audiences
from kubrick_apiserver.body import Body, DictBody
from kubrick_apiserver.chain import AdmissionChain
from kubrick_apiserver.ownership import Ownership
from kubrick_apiserver.templates import Templates
from kubrick_kernel import Item, rfc3339

if TYPE_CHECKING:
    from kubrick_kernel import Kernel
    from kubrick_kernel.bus import Bus, Topic


class Registry:
    """See the module. Made before anything runs; used once the bus is ready."""

    def __init__(self, kernel: "Kernel", catalog: Catalog, bus: "Bus", chain: AdmissionChain) -> None:
        self.kernel = kernel
        self.catalog = catalog
        self.bus = bus
        self.chain = chain
        self.clock = kernel.clock
        self.audiences = Audiences()
        self.reader: Reader = self
        self.owners = Ownership(self)
        self.templates = Templates()
        self._resources: dict[GVR, Resource] = {}

    def resource(self, gvr: GVR) -> Resource:
        """Raises StatusError 404 for what is not served."""
        found = self._resources.get(gvr)
        if found is None:
            looked_up = self.catalog.resource(gvr)
            if looked_up is None:
                raise unknown_path()
            found = self._resources[gvr] = looked_up
        return found

    def stored_resource(self, resource: Resource) -> Resource:
        """The resource whose storage `resource` shares; usually itself."""
        return resource if resource.stored_as is None else self.resource(resource.stored_as)

    def topic(self, resource: Resource) -> "Topic":
        return self.bus.topic(resource.key_prefix)

    def decode(self, resource: Resource, item: Item) -> Object:
        """The object in this resource's version. Shared: never change it."""
        obj = codec.decode(item)
        return obj if resource.stored_as is None else resource.from_storage(obj)

    def glance(self, resource: Resource, item: Item) -> Object:
        """`decode` that keeps nothing. Shared all the same."""
        obj = codec.glance(item)
        return obj if resource.stored_as is None else resource.from_storage(obj)

    def now(self) -> str:
        return rfc3339(self.clock.now())

    def context(self, user: UserInfo, subresource: str = "", dry_run: bool = False) -> WriteContext:
        return WriteContext(user, self.clock.now(), self.reader, self, subresource, dry_run)

    def get(self, resource: GVR, namespace: str, name: str) -> Object | None:
        """`Reader.get`."""
        found = self.resource(resource)
        item = self.topic(found).get(found.key(namespace, name))
        return None if item is None else self.decode(found, item)

    def list(self, resource: GVR, namespace: str = "") -> list[Object]:
        """`Reader.list`."""
        found = self.resource(resource)
        items = self.topic(found).range(read.prefix(found, namespace)).items
        return [self.decode(found, item) for item in items]

    async def handle(self, call: Call) -> Object:
        """`Storage.handle`: any call but a watch, with dicts, without authorization."""
        resource = self.resource(call.resource)
        if call.verb == "list" and resource.virtual is None:
            if "list" not in resource.verbs:
                raise method_not_allowed()
            return await read.listing(self, resource, call)
        return self.object(resource, await self.perform(resource, call, DictBody(call.body)))

    async def modify(
        self,
        call: Call,
        change: Callable[[Object], Object | None],
        *,
        subresource: str = "",
        admit: bool = True,
    ) -> Object:
        """`Storage.modify`."""
        resource = self.resource(call.resource)
        return self.object(resource, await write.modify(self, resource, call, change, subresource, admit))

    def object(self, resource: Resource, answer: Answer) -> Object:
        """What an answer shows, as a dict (shared when it is stored)."""
        if answer.item is not None:
            return self.decode(resource, answer.item)
        if answer.obj is None:
            raise internal("the request was answered with nothing")
        return answer.obj

    async def perform(self, resource: Resource, call: Call, body: Body) -> Answer:
        """Any verb with one object for an answer (all but list and watch). Raises StatusError."""
        try:
            return await self._perform(resource, call, body)
        except (TypeError, RecursionError) as error:
            raise codec.refused_depth(error) or error from None

    async def _perform(self, resource: Resource, call: Call, body: Body) -> Answer:
        verb = call.verb
        if call.subresource:
            return await subresources.perform(self, resource, call, body)
        if resource.virtual is not None:
            return await subresources.perform_virtual(self, resource, call, body)
        if verb not in resource.verbs:
            raise refused(resource, call)
        if verb == "get":
            return Answer(read.fetch(self, resource, call))
        if verb == "create":
            return await creation.create(self, resource, call, body)
        if verb == "update":
            return await write.update(self, resource, call, body)
        if verb == "patch":
            return await write.patch(self, resource, call, body)
        if verb == "delete":
            return await removal.delete(self, resource, call, body)
        if verb == "deletecollection":
            return await removal.delete_collection(self, resource, call, body)
        raise refused(resource, call)


METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}


def refused(resource: Resource, call: Call) -> StatusError:
    """405, with the methods this URL does have."""
    error = method_not_allowed()
    verbs = resource.verbs
    if call.subresource and call.subresource in resource.subresources:
        verbs = resource.subresources[call.subresource].verbs
    elif call.name:
        verbs = tuple(verb for verb in verbs if verb in ("get", "update", "patch", "delete"))
    else:
        verbs = tuple(verb for verb in verbs if verb in ("list", "watch", "create", "deletecollection"))
    allowed = ", ".join(sorted({METHODS[verb] for verb in verbs}))
    return StatusError(error.code, error.reason, error.message, error.details, (("Allow", allowed),))
