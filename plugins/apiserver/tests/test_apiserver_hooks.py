"""The server's extension points, answered by a stranger's plugin."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import trio
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from kubrick_api.errors import StatusError, forbidden, unauthorized
from kubrick_api.names import GVK, GVR
from kubrick_api.storage import UserInfo
from kubrick_apiserver.access import AccessControl
from kubrick_apiserver.admission import Attributes
from kubrick_apiserver.auth import Access, Authenticator, Authorizer, Credentials, ResourceRules
from kubrick_apiserver.authentication import Authentication
from kubrick_apiserver.bootstrap import Reconcile
from kubrick_apiserver.exposition import Exposition
from kubrick_apiserver.flow import FlowControl
from kubrick_apiserver.server import APIServer
from kubrick_apiserver.web import Handler, Request, Response
from kubrick_client import connect
from kubrick_http.parser import Message
from kubrick_http.pulse import Pulse
from kubrick_kernel import Composition, Kernel, TrioClock, build_plugin_manager, hookimpl

CONFIG_MAPS = GVR("", "v1", "configmaps")


class Passphrase:
    """Knows "open sesame", refuses "swordfish"."""

    name = "passphrase"
    order = 5

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        if credentials.authorization == "Bearer swordfish":
            raise unauthorized()
        return UserInfo("ali") if credentials.authorization == "Bearer open sesame" else None


class Cave:
    """Lets ali do everything and denies eve everything."""

    name = "cave"
    order = 5

    def authorize(self, access: Access) -> tuple[bool | None, str]:
        if access.user.name == "eve":
            return False, "not you"
        return (True, "") if access.user.name == "ali" else (None, "")

    def rules(self, user: UserInfo, namespace: str) -> ResourceRules:
        return ResourceRules([], [], True, "the cave does not tell")


class NoGold:
    name = "NoGold"
    order = 225

    def handles(self, attributes: Attributes) -> bool:
        return attributes.resource == CONFIG_MAPS

    async def validate(self, attributes: Attributes) -> None:
        if attributes.name == "gold":
            raise forbidden(attributes.resource, attributes.name, "all gold stays in the cave")


class Turn:
    """Forty may come in, and then nobody."""

    headers = (("X-Door", "open"),)

    def __init__(self, door: "Door") -> None:
        self.door = door
        door.inside += 1
        self.is_running = door.inside <= 40

    async def wait(self, seconds: float) -> bool:
        return False

    def leave(self, now: float) -> None:
        self.door.inside -= 1

    def watch(self, change: int) -> None:
        pass


class Door:
    def __init__(self) -> None:
        self.inside = 0

    def enter(self, request: Request, now: float) -> Turn:
        return Turn(self)


class Asked:
    """A connection, as far as the server looks at it."""

    def __init__(self) -> None:
        self.certificate: bytes | None = None
        self.deadline = 0.0
        self.peer = "192.0.2.7"
        self.pulse = Pulse(TrioClock())


class Treasure:
    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("treasure_chests", "How many.", 40)


class Stranger:
    """A plugin that answers every hook of the server."""

    def __init__(self) -> None:
        self.well = True
        self.flow = Door()

    @hookimpl
    def kubrick_register_flow_control(self, kernel: Kernel) -> FlowControl | None:
        return self.flow

    @hookimpl
    def kubrick_register_authenticators(self, kernel: Kernel) -> Sequence[Authenticator]:
        return (Passphrase(),)

    @hookimpl
    def kubrick_register_authorizers(self, kernel: Kernel) -> Sequence[Authorizer]:
        return (Cave(),)

    @hookimpl
    def kubrick_register_admission(self, kernel: Kernel) -> Sequence[NoGold]:
        return (NoGold(),)

    @hookimpl
    def kubrick_register_bootstrap_objects(self, kernel: Kernel) -> Sequence[dict[str, Any]]:
        return (
            {
                "kind": "ConfigMap",
                "apiVersion": "v1",
                "metadata": {"name": "cave", "namespace": "default"},
                "data": {"door": "shut"},
            },
            {"kind": "Unserved", "apiVersion": "nobody/v1", "metadata": {"name": "left-out"}},
        )

    @hookimpl
    def kubrick_register_bootstrap_reconcilers(self, kernel: Kernel) -> Mapping[GVK, Reconcile]:
        def reconcile(stored: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any] | None:
            return None if stored["data"] == wanted["data"] else {**stored, "data": wanted["data"]}

        return {GVK("", "v1", "ConfigMap"): reconcile}

    @hookimpl
    def kubrick_register_health_checks(self, kernel: Kernel) -> Sequence[tuple[str, Callable[[], Awaitable[None]]]]:
        async def check() -> None:
            if not self.well:
                raise RuntimeError("the door is stuck")

        return (("door", check),)

    @hookimpl
    def kubrick_register_collectors(self, kernel: Kernel) -> Sequence[Any]:
        return (Treasure(),)

    @hookimpl
    def kubrick_register_paths(self, kernel: Kernel) -> Mapping[str, Handler]:
        async def riddle(request: Request) -> Response:
            return Response(200, "text/plain", b"what opens at a word?")

        return {"/riddle": riddle}


async def test_a_plugin_takes_part_in_everything_the_server_does() -> None:
    composition = Composition(profile="api", store="memory", plugins={"apiserver": {"listen": ""}})
    manager = build_plugin_manager(composition)
    stranger = Stranger()
    manager.register(stranger, "stranger")
    kernel = Kernel(composition, plugins=manager)
    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)

        authentication = kernel.find(Authentication)
        user = await authentication.identify(Credentials("Bearer open sesame"))
        assert user == UserInfo("ali", groups=("system:authenticated",))

        control = kernel.find(AccessControl)
        assert control.authorize(Access(UserInfo("eve"), "get", resource="pods")) == (False, "not you")
        assert control.authorize(Access(UserInfo("bob"), "get", resource="pods"))[0] is None
        rules = control.rules(user, "default")
        assert (rules.incomplete, rules.error) == (True, "the cave does not tell")

        ali = connect(kernel, "ali")
        assert (await ali.get(CONFIG_MAPS, "cave", "default"))["data"] == {"door": "shut"}
        gold = {"metadata": {"name": "gold", "namespace": "default"}}
        with pytest.raises(StatusError, match='configmaps "gold" is forbidden: all gold stays in the cave'):
            await ali.create(CONFIG_MAPS, gold, "default")

        server = kernel.find(APIServer)
        check = server.health.checks["readyz"]["door"]
        await check()

        text = Exposition(server._collectors).text()
        assert b"treasure_chests 40.0" in text
        assert b"apiserver_request_total" in text

        message = Message("GET", "/riddle", {"authorization": "Bearer open sesame"}, b"", True)
        answer = await server.filters(message, Asked())
        assert (answer.status, answer.body) == (200, b"what opens at a word?")
        assert ("X-Door", "open") in answer.headers
        assert stranger.flow.inside == 0
        stranger.flow.inside = 40
        assert (await server.filters(message, Asked())).status == 429
        kernel.shutdown()


async def test_bootstrap_objects_are_written_once_and_reconciled() -> None:
    kernel = Kernel(Composition(profile="api", store="memory", plugins={"apiserver": {"listen": ""}}))
    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)
        revision = kernel.bus.revision
        server = kernel.find(APIServer)
        assert revision == 2, "everything in one transaction, then the default range is said to be ready"
        await server._bootstrap("127.0.0.1", 6443)
        assert kernel.bus.revision == revision, "nothing to do the second time"
        await server._bootstrap("192.0.2.7", 6444)
        admin = connect(kernel, "admin", ("system:masters",))
        endpoints = await admin.get(GVR("", "v1", "endpoints"), "kubernetes", "default")
        assert endpoints["subsets"] == [
            {"addresses": [{"ip": "192.0.2.7"}], "ports": [{"name": "https", "port": 6444, "protocol": "TCP"}]}
        ]
        service = await admin.get(GVR("", "v1", "services"), "kubernetes", "default")
        assert service["spec"]["ports"][0]["targetPort"] == 6444
        assert service["spec"]["clusterIP"] == "10.96.0.1"
        kernel.shutdown()
