"""Which plugins make this program, and with which settings: the cluster file.

A composition names a profile (a plugin set that some plugin contributes), adds and removes plugins,
chooses a store and holds the tables of settings. Reading is strict: an unknown key or a value of the
wrong type is an error that names the file, the key and what is allowed.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import Factory, frozen

from kubrick_kernel.errors import ConfigurationError
from kubrick_kernel.settings import structure

DEFAULT_NAME = "dev"


@frozen
class Profile:
    """A named plugin set. `includes` names other profiles whose plugins come first; `store` is the
    store to use unless the composition says otherwise.

    The profile with the highest `preference` is taken when the user names none; `reason` is what the
    user is then told ("needs no root"). `settings` are defaults for plugins' settings, by plugin name and
    key: what makes these plugins fit together. They lie under the user's and over those of `includes`.
    """

    name: str
    description: str
    plugins: tuple[str, ...]
    store: str = "sqlite"
    includes: tuple[str, ...] = ()
    preference: int = 0
    reason: str = ""
    settings: Mapping[str, Mapping[str, Any]] = Factory(dict)


@frozen
class Option:
    """A flag of ``kubrick up`` (`flag`, "--nodes") that sets `key` of `plugin`'s settings. One of type bool
    takes no value."""

    flag: str
    plugin: str
    key: str
    help: str
    type: type = str


@frozen
class Composition:
    """What to run. An empty `profile` is the preferred one installed, an empty `store` the profile's.

    `plugins` holds the settings' tables by plugin name; `file` is where it was read from.
    """

    name: str = DEFAULT_NAME
    profile: str = ""
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    store: str = ""
    plugins: Mapping[str, Mapping[str, Any]] = Factory(dict)
    file: Path | None = None

    @property
    def source(self) -> str:
        """Where this composition comes from, as error messages name it."""
        return str(self.file) if self.file else "the composition"


@frozen
class _Cluster:
    """The table ``[cluster]``."""

    name: str = DEFAULT_NAME
    profile: str = ""
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    store: str = ""


def load_composition(file: Path) -> Composition:
    """Read a cluster file. Raises `ConfigurationError` naming the file and the line or key."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot read it: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: is not UTF-8 text ({error.reason} at byte {error.start})") from error
    return parse_composition(text, file)


def parse_composition(text: str, file: Path) -> Composition:
    """`load_composition` for text already read; `file` is for messages."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file}: is not valid TOML: {error}") from error
    for table, content in document.items():
        if table not in ("cluster", "plugins"):
            raise ConfigurationError(
                f"{file}: unknown table [{table}]; allowed are [cluster] and [plugins.<plugin>]",
            )
        if not isinstance(content, dict):
            raise ConfigurationError(f"{file}: {table} must be a table, written [{table}]")
    cluster = structure(_Cluster, document.get("cluster", {}), f"{file}: [cluster]")
    if not cluster.name or not cluster.name.replace("-", "a").isalnum():
        raise ConfigurationError(f"{file}: [cluster] name: {cluster.name!r} must be letters, digits and '-'")
    plugins = document.get("plugins", {})
    for plugin, settings in plugins.items():
        if not isinstance(settings, dict):
            raise ConfigurationError(f"{file}: plugins.{plugin} must be a table, written [plugins.{plugin}]")
    return Composition(
        name=cluster.name,
        profile=cluster.profile,
        enable=cluster.enable,
        disable=cluster.disable,
        store=cluster.store,
        plugins=plugins,
        file=file,
    )
