"""A stranger's plugin answers every hook there is, and each answer shows in a running cluster."""

import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import click
import pluggy
import pytest
import trio
from attrs import frozen

from kubrick_api.errors import StatusError
from kubrick_api.names import GVK, GVR
from kubrick_api.resource import APIGroup, Resource
from kubrick_api.storage import UserInfo
from kubrick_api_core import CONFIG_MAPS, NODES, PODS
from kubrick_apiserver.admission import Attributes
from kubrick_apiserver.auth import Access, Credentials, ResourceRules
from kubrick_apiserver.authentication import Authentication
from kubrick_apiserver.server import APIServer
from kubrick_client import Client, connect
from kubrick_controller import Context
from kubrick_kernel import (
    Composition,
    Kernel,
    MemoryStore,
    Option,
    Profile,
    Store,
    TrioClock,
    build_plugin_manager,
    hookimpl,
    hookspec,
)
from kubrick_scheduler import PodInfo
from kubrick_scheduler.per_node import per_node_filter
from kubrick_testing import build

BELLS = GVR("strange.example.com", "v1", "bells")
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
SCHEMAS = {
    "Bell": {"fields": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"ref": f"{META}.ObjectMeta"}}},
    "BellList": {"fields": {"items": {"list": {"ref": "Bell"}}, "metadata": {"ref": f"{META}.ListMeta"}}},
}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }
