"""The plugin "api": its hook, and the catalog it offers before anything runs."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest

import kubrick_api
from kubrick_api import hookspecs
from kubrick_api.catalog import Catalog
from kubrick_api.names import GVK, GVR
from kubrick_api.resource import APIGroup, Resource
from kubrick_kernel import Composition, Kernel, Profile, build_plugin_manager, hookimpl

THINGS = Resource(
    GVR("example.com", "v1", "things"),
    GVK("example.com", "v1", "Thing"),
    True,
    ("get",),
    "thing",
    "com.example.v1.Thing",
)
GROUP = APIGroup("example.com", "v1", (THINGS,), {"com.example.v1.Thing": {"fields": {"a": {"type": "string"}}}})


class Things:
    """A plugin with one API group."""

    @hookimpl
    def kubrick_register_api_groups(self, kernel: Kernel) -> Sequence[APIGroup]:
        return (GROUP,)

    @hookimpl
    def kubrick_register_profiles(self) -> Sequence[Profile]:
        return (Profile("bare", "for this test", plugins=("things", "api"), store="memory"),)


def kernel(*groups: tuple[str, Any]) -> Kernel:
    plugins: dict[str, Any] = {"api": kubrick_api, **dict(groups)}
    composition = Composition(profile="bare", store="memory")
    return Kernel(composition, plugins=build_plugin_manager(composition, plugins))


def test_the_catalog_of_all_groups_is_offered() -> None:
    catalog = kernel(("things", Things())).find(Catalog)
    assert catalog.resource(THINGS.gvr) is THINGS
    assert catalog.by_kind(THINGS.kind) is THINGS
    assert catalog.type(THINGS).accept({"a": "x", "b": 1}) == ['unknown field "b"']
    assert [(group.group, group.version) for group in catalog.groups()] == [("example.com", "v1")]


def test_an_unknown_resource_is_none() -> None:
    assert Catalog().resource(THINGS.gvr) is None
    assert Catalog([GROUP]).group("example.com", "v2") is None


def test_groups_come_in_the_order_of_discovery() -> None:
    late = APIGroup("late.example.com", "v1", (), {}, priority=10)
    early = APIGroup("early.example.com", "v1", (), {}, priority=20)
    assert [group.group for group in Catalog([late, early]).groups()] == ["early.example.com", "late.example.com"]


def test_two_plugins_may_not_serve_one_group() -> None:
    with pytest.raises(ValueError, match=r"two plugins serve the API group example\.com/v1"):
        Catalog([GROUP, GROUP])


def test_the_hook_is_added_by_the_plugin() -> None:
    manager = kernel(("things", Things())).plugins
    assert isinstance(hookspecs, ModuleType)
    assert hasattr(manager.hook, "kubrick_register_api_groups")
