"""Which plugins are installed, which of them a composition wants, and one manager holding those.

Discovery is stevedore's, over entry-point group ``kubrick``; nothing is imported to know a name. Only
what takes part is imported: the profiles' providers, then the composition's plugins. Registration and
hooks are pluggy's. A plugin that answers a hook nobody specifies is an error.
"""

import os
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

import pluggy
from pluggy import PluginValidationError
from stevedore.driver import DriverManager
from stevedore.named import NamedExtensionManager

from kubrick_kernel import hookspecs
from kubrick_kernel.composition import Composition, Profile
from kubrick_kernel.errors import ConfigurationError
from kubrick_kernel.settings import closest, suggest

GROUP = "kubrick"
STORE_PREFIX = "store-"
COMMAND_PREFIX = "command-"
HOOK_PREFIX = "kubrick_register_"
OBSTACLES = HOOK_PREFIX + "obstacles"
PROFILES = "profiles"
PROFILE_VARIABLE = "KUBRICK_PROFILE"
"""The environment variable that names the profile where neither a flag nor the cluster file does."""
DEFAULT = "the default here"


class EntryPoint(Protocol):
    """What an installed plugin is known by before it is imported."""

    name: str
    value: str


def installed() -> dict[str, EntryPoint]:
    """The installed plugins by name, in alphabetical order. Imports none of them."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(NamedExtensionManager(GROUP, names=[]).list_entry_points()):
        if entry.name in found and found[entry.name].value != entry.value:
            raise ConfigurationError(
                f"two installed packages call their plugin {entry.name!r} "
                f"({found[entry.name].value} and {entry.value}); uninstall one of them"
            )
        found[entry.name] = entry
    return found


def build_plugin_manager(composition: Composition, extra: Mapping[str, object] | None = None) -> "PluginManager":
    """Import and register the plugins of `composition`, hosts' hooks included.

    `extra` are plugins given as objects, by name: they take part without being installed. Where no
    profile is named, it is the most preferred one that nothing keeps from running here.
    Raises `ConfigurationError` for anything missing, misspelt or broken.
    """
    extra = extra or {}
    present = installed()
    for name, where in _mentioned(composition):
        if name not in present and name not in extra:
            known = suggest(name, [*present, *extra], "installed are")
            raise ConfigurationError(f"{composition.source}: {where}: there is no plugin {name!r}{known}")
    profiles = _collect_profiles(composition, present, extra)
    choices = candidates(composition, profiles)
    if len(choices) < 2:
        manager = _assemble(composition, profiles, choices[0] if choices else None, present, extra)
        manager.why = "" if composition.profile else f"named by {PROFILE_VARIABLE}" if named_here() else DEFAULT
        return manager
    passed_over = []
    for profile in choices:
        if not (obstacle := _obstacle(composition, profiles, profile, present, extra)):
            break
        passed_over.append(f"not {profile.name}: {obstacle}")
    else:
        profile, passed_over = choices[0], []
    manager = _assemble(composition, profiles, profile, present, extra)
    reason = f"{DEFAULT}: {profile.reason}" if profile.reason else DEFAULT
    manager.why = "; ".join([reason, *passed_over])
    return manager


def named_here() -> str:
    """The profile that the environment names, or ""."""
    return os.environ.get(PROFILE_VARIABLE, "")


def candidates(composition: Composition, profiles: Mapping[str, Profile]) -> list[Profile]:
    """The profile that `composition`, or else the environment, names; all where neither does, the most
    preferred first."""
    name, source = composition.profile, composition.source
    if not name:
        name, source = named_here(), f"the environment variable {PROFILE_VARIABLE}"
    if not name:
        return sorted(profiles.values(), key=lambda profile: -profile.preference)
    if name not in profiles:
        raise ConfigurationError(f"{source}: unknown profile {name!r}{suggest(name, profiles, 'installed are')}")
    return [profiles[name]]


def _obstacle(
    composition: Composition,
    profiles: Mapping[str, Profile],
    profile: Profile,
    present: Mapping[str, EntryPoint],
    extra: Mapping[str, object],
) -> str:
    """The first thing that keeps `profile` from running here, or "". What comes after it is not imported."""
    manager = PluginManager(composition, profile, "")
    for name in dict.fromkeys([*_wanted(composition, profiles, profile)[0], *extra]):
        if name.startswith(STORE_PREFIX):
            continue
        if name not in extra and name not in present:
            return _absent(profile.name, name)
        plugin = extra.get(name) or load(name)
        if hasattr(plugin, OBSTACLES):
            manager.add(name, plugin)
            if obstacles := manager.obstacles(composition):
                return obstacles[0]
    return ""


def _absent(profile: str, name: str) -> str:
    return (
        f"profile {profile!r} needs plugin {name!r}, which is not installed: "
        f"install its package (kubrick-{name}) or disable it"
    )


def _assemble(
    composition: Composition,
    profiles: Mapping[str, Profile],
    profile: Profile | None,
    present: Mapping[str, EntryPoint],
    extra: Mapping[str, object],
) -> "PluginManager":
    """The manager for one profile, its plugins registered."""
    store = composition.store or (profile.store if profile else "memory")
    manager = PluginManager(composition, profile, store)
    wanted, manager.defaults = _wanted(composition, profiles, profile)
    # pluggy asks the last one registered first; in reverse, plugins are asked in the profile's order.
    for name in reversed(dict.fromkeys([*wanted, *extra])):
        if name.startswith(STORE_PREFIX) and name != STORE_PREFIX + store:
            continue
        if name not in extra and name not in present:
            raise ConfigurationError(_absent(manager.profile_name, name))
        manager.add(name, extra.get(name))
    if STORE_PREFIX + store not in (*wanted, *extra):
        _check_store(composition, store, present)
        manager.add(STORE_PREFIX + store, None)
    manager.seal()
    return manager


class PluginManager(pluggy.PluginManager):
    """pluggy's manager, and what was chosen: `profile` (None: no plugins but those named), `store`,
    `composition` as asked for, the profile's `defaults` for settings, and `why` it is this profile where the
    composition names none."""

    def __init__(self, composition: Composition, profile: Profile | None, store: str) -> None:
        super().__init__(hookspecs.PROJECT)
        self.composition = composition
        self.profile = profile
        self.store = store
        self.defaults: dict[str, dict[str, Any]] = {}
        self.why = ""
        self.add_hookspecs(hookspecs)

    @property
    def profile_name(self) -> str:
        """The profile's name, or "" without one."""
        return self.profile.name if self.profile else ""

    def add(self, name: str, plugin: object | None) -> None:
        """Register `plugin` (None: the installed one of that name) unless it is there already."""
        if self.has_plugin(name):
            return
        try:
            self.register(load(name) if plugin is None else plugin, name)
        except PluginValidationError as error:
            self._explain(error, name)

    def seal(self) -> None:
        """All plugins are in: let hosts add their hooks, then see that every answer has a question."""
        try:
            self.hook.kubrick_add_hookspecs(manager=self)
            self.check_pending()
        except PluginValidationError as error:
            self._explain(error, self.get_name(error.plugin) or "?")

    def names(self) -> list[str]:
        """The plugins that take part, in the order they are asked."""
        return [name for name, _ in reversed(self.list_name_plugin())]

    def implementers(self, hook: str) -> list[tuple[str, Any]]:
        """The plugins that answer `hook`, as (plugin name, function), in the order they are asked."""
        caller = getattr(self.hook, hook, None)
        return [(impl.plugin_name, impl.function) for impl in reversed(caller.get_hookimpls())] if caller else []

    def hooks_of(self, name: str) -> list[str]:
        """The hooks that plugin `name` answers."""
        callers = self.get_hookcallers(self.get_plugin(name)) or []
        return sorted(caller.name for caller in callers)

    def obstacles(self, composition: Composition) -> list[str]:
        """What keeps this machine from running these plugins for this user."""
        answers = self.hook.kubrick_register_obstacles(composition=composition)
        return [obstacle for answer in answers for obstacle in answer]

    def known_hooks(self) -> list[str]:
        """Every hook that has a specification."""
        return sorted(name for name, caller in vars(self.hook).items() if getattr(caller, "spec", None))

    def _explain(self, error: PluginValidationError, name: str) -> NoReturn:
        """pluggy's complaint in the words of who wrote the plugin."""
        known = self.known_hooks()
        for caller in self.get_hookcallers(error.plugin) or []:
            if caller.name not in known:
                endings = {hook.removeprefix(HOOK_PREFIX): hook for hook in known}
                close = closest(caller.name.removeprefix(HOOK_PREFIX), endings, cutoff=0.75)
                advice = f"did you mean {endings[close[0]]}?" if close else "enable the plugin that owns this hook"
                raise ConfigurationError(
                    f"plugin {name!r} answers {caller.name}, a hook that no enabled plugin has; {advice}"
                ) from error
        raise ConfigurationError(" ".join(f"plugin {name!r} is broken: {error}".split())) from error


def _mentioned(composition: Composition) -> list[tuple[str, str]]:
    """Every plugin the composition names, and where; settings may wait for a plugin that takes no part."""
    lists = (("enable", composition.enable), ("disable", composition.disable))
    return [(name, f"[cluster] {key}") for key, names in lists for name in names] + [
        (name, f"[plugins.{name}]") for name in composition.plugins
    ]


def collect_profiles(composition: Composition) -> dict[str, Profile]:
    """The profiles there are to choose from, by name."""
    return _collect_profiles(composition, installed(), {})


def _collect_profiles(
    composition: Composition, present: Mapping[str, EntryPoint], extra: Mapping[str, object]
) -> dict[str, Profile]:
    """Ask whoever may contribute profiles before the profile is known: the plugins called ``profiles``
    or ``profiles-<anything>``, those enabled by name, and `extra`."""
    manager = PluginManager(composition, None, "")
    providers = [name for name in present if name == PROFILES or name.startswith(PROFILES + "-")]
    for name in dict.fromkeys([*providers, *composition.enable]):
        manager.add(name, extra.get(name))
    for name, plugin in extra.items():
        manager.add(name, plugin)
    found: dict[str, Profile] = {}
    for profile in (profile for answer in manager.hook.kubrick_register_profiles() for profile in answer):
        if profile.name in found:
            raise ConfigurationError(f"two plugins contribute a profile called {profile.name!r}; disable one of them")
        found[profile.name] = profile
    return found


def _wanted(
    composition: Composition, profiles: Mapping[str, Profile], profile: Profile | None
) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The names of the plugins that take part, hosts' profiles first, and the profiles' settings."""
    names: dict[str, None] = {}
    defaults: dict[str, dict[str, Any]] = {}

    def include(included: Profile, path: tuple[str, ...]) -> None:
        if included.name in path:
            raise ConfigurationError(f"profile {included.name!r} includes itself: {' → '.join((*path, included.name))}")
        for name in included.includes:
            if name not in profiles:
                hint = suggest(name, profiles, "installed are")
                raise ConfigurationError(f"profile {included.name!r} includes unknown profile {name!r}{hint}")
            include(profiles[name], (*path, included.name))
        names.update(dict.fromkeys(included.plugins))
        for plugin, table in included.settings.items():
            defaults.setdefault(plugin, {}).update(table)

    if profile:
        include(profile, ())
    names.update(dict.fromkeys(composition.enable))
    for name in composition.disable:
        names.pop(name, None)
    return list(names), defaults


def _check_store(composition: Composition, store: str, present: Mapping[str, EntryPoint]) -> None:
    stores = [name.removeprefix(STORE_PREFIX) for name in present if name.startswith(STORE_PREFIX)]
    if store not in stores:
        hint = suggest(store, stores, "installed are")
        raise ConfigurationError(f"{composition.source}: unknown store {store!r}{hint}")


def load(name: str) -> Any:
    """Import the installed plugin `name`."""
    try:
        return DriverManager(GROUP, name, on_load_failure_callback=_raise).driver
    except Exception as error:
        raise ConfigurationError(f"plugin {name!r} can't be imported: {type(error).__name__}: {error}") from error


def _raise(_manager: object, _entry: object, error: BaseException) -> None:
    """stevedore logs and goes on unless told otherwise."""
    raise error
