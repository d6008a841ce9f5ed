"""The Kubrick kernel: storage, watch bus, lifecycle, plugins.

Everything a plugin may use is named here. The kernel knows nothing of what it runs.
"""

from kubrick_kernel.bus import Bus, Lagged, Subscription, Topic
from kubrick_kernel.clock import Clock, SystemClock, TrioClock, rfc3339, rfc3339_micro, seeded_uuid
from kubrick_kernel.composition import Composition, Option, Profile, load_composition
from kubrick_kernel.datadir import default_data_dir
from kubrick_kernel.errors import ConfigurationError
from kubrick_kernel.hookspecs import hookimpl, hookspec
from kubrick_kernel.kernel import Kernel
from kubrick_kernel.lifecycle import Component
from kubrick_kernel.log import get_logger
from kubrick_kernel.memory import MemoryStore
from kubrick_kernel.plugins import PluginManager, build_plugin_manager
from kubrick_kernel.store import (
    Check,
    Committed,
    Compacted,
    Conflict,
    Delete,
    Event,
    FutureRevision,
    Item,
    Put,
    Range,
    Store,
    StoreError,
)

__all__ = [
    "Bus",
    "Check",
    "Clock",
    "Committed",
    "Compacted",
    "Component",
    "Composition",
    "ConfigurationError",
    "Conflict",
    "Delete",
    "Event",
    "FutureRevision",
    "Item",
    "Kernel",
    "Lagged",
    "MemoryStore",
    "Option",
    "PluginManager",
    "Profile",
    "Put",
    "Range",
    "Store",
    "StoreError",
    "Subscription",
    "SystemClock",
    "Topic",
    "TrioClock",
    "build_plugin_manager",
    "default_data_dir",
    "get_logger",
    "hookimpl",
    "hookspec",
    "load_composition",
    "rfc3339",
    "rfc3339_micro",
    "seeded_uuid",
]
