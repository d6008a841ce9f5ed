"""Which representation a client wants, and what format its body is in.

`representation` reads an Accept header the way kube-apiserver does: clauses by falling quality, the first
one that can be served wins; Tables and PartialObjectMetadata are asked for by the parameters as, v and g.
Tables have no protobuf.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from attrs import frozen

from kubrick_api.errors import not_acceptable, unacceptable, unsupported_media_type

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
TEXTS = (JSON, YAML)
"""What documents of the server's own (discovery) can be had as."""
TRANSFORMS = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}
WORD = r"[\w!#$%&'*+.^`|~-]+"
PARAMETERS = re.compile(rf'(\s*;\s*{WORD}=({WORD}|"([^"\\]|\\.)*"))*\s*;?\s*', re.ASCII)
ANY = ("*/*", "application/*", JSON)
NESTING = 200
"""How deep YAML may be nested."""
EXPANSION = 1_000_000
"""How many values YAML with aliases may stand for."""
BROWSERS = ("curl", "Wget", "Mozilla/5.0")


@frozen
class Representation:
    """`media` is JSON, YAML or PROTOBUF; `transform` is "" (the objects themselves), "table" or "metadata";
    `version` is the version of meta.k8s.io that a transformed answer says it has."""

    media: str = JSON
    transform: str = ""
    version: str = "v1"
    pretty: bool = False

    @property
    def plain(self) -> bool:
        """Whether stored bytes can be sent as they are."""
        return self.media == JSON and not self.transform and not self.pretty


PLAIN = Representation()


def representation(headers: Mapping[str, str], query: Mapping[str, str], *, transforms: bool = True) -> Representation:
    """What to answer with. `transforms` says whether Tables and metadata can be made of it. Raises 406."""
    accept = headers.get("accept", "")
    if accept in ("", "*/*", JSON) and "pretty" not in query and not _browser(headers):
        return PLAIN
    chosen = _negotiate(accept, transforms)
    if chosen is None:
        known = any(media in ANY or media in MEDIA_TYPES for media, _ in _clauses(accept))
        raise not_acceptable(MEDIA_TYPES) if known else unacceptable(MEDIA_TYPES)
    return Representation(chosen.media, chosen.transform, chosen.version, True) if _pretty(headers, query) else chosen


def _pretty(headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    if "pretty" in query:
        return query["pretty"] in ("1", "t", "T", "true", "TRUE", "True")
    return _browser(headers)


def _browser(headers: Mapping[str, str]) -> bool:
    """People who look at the API with such a program get indented JSON."""
    return headers.get("user-agent", "").startswith(BROWSERS)


@lru_cache(maxsize=256)
def _negotiate(accept: str, transforms: bool) -> Representation | None:
    for media, parameters in _clauses(accept):
        if media in ANY:
            media = JSON
        elif media not in (YAML, PROTOBUF):
            continue
        wanted = parameters.get("as", "")
        if not wanted:
            return Representation(media)
        version = parameters.get("v", "v1")
        if not transforms or wanted not in TRANSFORMS or parameters.get("g", "meta.k8s.io") != "meta.k8s.io":
            continue
        if version in ("v1", "v1beta1") and not (media == PROTOBUF and wanted == "Table"):
            return Representation(media, TRANSFORMS[wanted], version)
    return None


def _clauses(accept: str) -> list[tuple[str, dict[str, str]]]:
    """The clauses of an Accept header, best first."""
    found = []
    for position, clause in enumerate(accept.split(",")):
        media, *rest = (part.strip() for part in clause.split(";"))
        parameters = dict(part.split("=", 1) for part in rest if "=" in part)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 1.0
        found.append((-quality, position, media.lower() or "*/*", parameters))
    return [(media, parameters) for _, _, media, parameters in sorted(found, key=lambda each: each[:2])]


@lru_cache(maxsize=256)
def discovery_version(accept: str) -> str:
    """The version of aggregated discovery that `accept` asks for: "v2", "v2beta1", or "" for the old form."""
    for media, parameters in _clauses(accept):
        if media not in ("*/*", "application/*", JSON):
            continue
        if "as" not in parameters:
            return ""
        if parameters["as"] == "APIGroupDiscoveryList" and parameters.get("g") == "apidiscovery.k8s.io":
            version = parameters.get("v", "")
            if version in ("v2", "v2beta1"):
                return version
    return ""


def media_type(header: str, accepted: tuple[str, ...] = MEDIA_TYPES) -> str:
    """The Content-Type without parameters, which must be well-formed; absent means JSON. Raises 415."""
    if header in accepted:
        return header
    media, semicolon, parameters = header.partition(";")
    media = media.strip().lower() if header else JSON
    if media not in accepted or not PARAMETERS.fullmatch(semicolon + parameters):
        raise unsupported_media_type(accepted)
    return media


def dump(obj: Any, form: Representation) -> bytes:
    """An object in the chosen format."""
    if form.media == YAML:
        return dump_yaml(obj)
    return orjson.dumps(obj, option=orjson.OPT_INDENT_2 if form.pretty else None)


def dump_yaml(obj: Any) -> bytes:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(obj, Dumper=dumper, default_flow_style=False, allow_unicode=True)
    return text.encode()


def load_yaml(data: bytes) -> Any:
    """YAML with JSON's types only. Raises ValueError with the parser's message."""
    import yaml

    try:
        _check_nesting(data)
        loaded = yaml.load(data, Loader=_loader())  # noqa: S506 -- a SafeLoader without timestamps
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(_yaml_message(error)) from None
    if b"*" in data:
        _Expansion().size(loaded)
    return loaded


def _check_nesting(data: bytes) -> None:
    """The composer recurses in C, and would take the whole process down. Raises ValueError."""
    import yaml

    loader, depth = _loader()(data), 0
    try:
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > NESTING:
                    raise ValueError(f"yaml: exceeded max depth of {NESTING}")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    finally:
        loader.dispose()


class _Expansion:
    """Counts what YAML comes to when every alias is written out."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def size(self, value: Any) -> int:
        """Raises ValueError for too much, and for a value within itself."""
        if not isinstance(value, dict | list):
            return 1
        known = self._sizes.get(id(value))
        if known is not None:
            return known
        if id(value) in self._open:
            raise ValueError("yaml: anchor value contains itself")
        self._open.add(id(value))
        found = 1 + sum(self.size(each) for each in (value.values() if isinstance(value, dict) else value))
        if found > EXPANSION:
            raise ValueError("yaml: document contains excessive aliasing")
        self._open.discard(id(value))
        self._sizes[id(value)] = found
        return found


@lru_cache(maxsize=1)
def _loader() -> Any:
    """The safe loader, with dates left as the text they are and string keys."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Plain scalars become strings, booleans, numbers or null; nothing else."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            mapping = super().construct_mapping(node, deep)
            return {_key(key): value for key, value in mapping.items()}

    Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_yaml_str)
    Loader.yaml_implicit_resolvers = {
        first: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in Loader.yaml_implicit_resolvers.items()
    }
    return Loader


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    return "true" if key is True else "false" if key is False else "null" if key is None else str(key)


def _yaml_message(error: Any) -> str:
    """As Go's YAML parser words it: a line is named when it isn't the first, counted from 1 by its scanner
    and from 0 by its parser."""
    from yaml.scanner import ScannerError

    marks = (getattr(error, name, None) for name in ("context_mark", "problem_mark"))
    line = next((mark.line for mark in marks if mark is not None and mark.line), 0)
    if line and isinstance(error, ScannerError):
        line += 1
    problem = getattr(error, "problem", None) or str(error)
    return f"yaml: line {line}: {problem}" if line else f"yaml: {problem}"


def yaml_repetitions(data: bytes) -> list[str]:
    """``line 7: key "a" already set in map`` for each key that valid YAML gives twice."""
    import yaml

    found: list[str] = []
    _collect_repetitions(yaml.compose(data, Loader=_loader()), found)
    return found


def _collect_repetitions(node: Any, found: list[str]) -> None:
    import yaml

    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _collect_repetitions(item, found)
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            _collect_repetitions(value, found)
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    found.append(f'line {value.start_mark.line + 1}: key "{key.value}" already set in map')
                seen.add(key.value)
