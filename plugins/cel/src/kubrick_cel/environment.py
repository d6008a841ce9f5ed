"""Compiling an expression, checking its types, and saying what is wrong as the API server does.

The engine and cel-go are ports of one design, and agree on grammar, positions and most words; what differs in words
is put right here. Nothing is evaluated.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from attrs import define, field, frozen

from kubrick_cel.declarations import ABBREVIATIONS, FUNCTIONS
from kubrick_cel.shapes import ANY, BOOL, BYTES, DOUBLE, INT, STRING, ListOf, MapOf, Shape, Struct

MACROS = re.compile(
    r"\.\s*(?:(?:all|exists|existsOne|exists_one|transformList|transformMap|transformMapEntry)"
    r"\s*\(\s*[A-Za-z_]\w*\s*,\s*[A-Za-z_]\w*\s*,|sortBy\s*\()"
)
"""Comprehensions over two variables, and sortBy: macros that the engine lacks. What has one is only parsed."""
OBJECT = re.compile(r"\bObject((?:\.[A-Za-z_]\w*)*)(?=\s*\{)")
NO_OVERLOAD = re.compile(r"(<input>:(\d+):(\d+): found no matching overload for '([\w.]+)' applied to ')\((.*)\)'")
NUMBERS = re.compile(r"no matching overload for '_[<>]=?_' applied to '\((?:int|uint|double), (?:int|uint|double)\)'")
"""Numbers of two types: Kubernetes lets them be compared, this engine wants a conversion."""
UNDECLARED = re.compile(
    r"<input>:(\d+):(\d+): undeclared reference to '(\w+\.[\w.]+)'( [^\n]*\n \| [^\n]*\n \| )([.．]*)\^"
)
OWN_STRING = re.compile(r"<input>:(\d+):(\d+): found no matching overload for 'string' applied to '\(net\.")
INVALID = "INVALID_ARGUMENT: "
MOST_CALLS = 100
STEPS = re.compile(r"[(\[{.?!+*/%-]")
DEEPEST = 250
"""How deep Kubernetes goes. This engine stops at 32: what has no more steps than that is believed, unread."""
TOO_DEEP = f"compilation failed: ERROR: <input>:-1:0: expression recursion limit exceeded: {DEEPEST}"


@frozen
class Checked:
    """What came of an expression: `error` is what is wrong, "" if nothing is; `type` what it evaluates to, in CEL's
    words, None where that isn't known."""

    error: str = ""
    type: str | None = None


@define(eq=False)
class Environment:
    """Where expressions of one kind are compiled: the variables they may use.

    With `objects`, they may also make objects by ``Object{…}`` and ``Object.spec{…}``, of any fields.
    """

    variables: Mapping[str, Shape]
    structs: Sequence[Struct] = ()
    """Structs that an expression may make."""
    objects: bool = False
    _engine: Any = field(default=None, init=False)
    _pool: Any = field(default=None, init=False)

    def check(self, expression: str) -> Checked:
        expression = expression.encode("utf-8", "replace").decode()
        engine, source = self._engine, expression
        if self.objects:
            source = OBJECT.sub(lambda found: found[0].replace(".", "_"), expression)
            engine, _ = _engine(self.variables, (*self.structs, *_made(source)))
        elif engine is None:
            engine, self._pool = _engine(self.variables, self.structs)
            self._engine = engine
        unchecked = MACROS.search(source) is not None
        for _ in range(MOST_CALLS):
            try:
                compiled = engine.compile(source, unchecked)
            except RuntimeError as error:
                text = str(error)
                if "recursion" in text:
                    return Checked("" if len(STEPS.findall(source)) <= DEEPEST else TOO_DEEP)
                if not text.startswith(INVALID):
                    raise
                if own := OWN_STRING.search(text):
                    source = _replaced(source, int(own[1]), int(own[2]))
                elif len(NUMBERS.findall(text)) == text.count("ERROR: <input>"):
                    unchecked = True
                else:
                    return Checked(_in_words(text, source, expression))
            else:
                return Checked(type=None if unchecked else _shown(compiled.return_type().name()))
        return Checked()

    def check_is(self, expression: str, *types: str) -> str:
        """What is wrong with an expression that must evaluate to one of these types; "" if nothing is."""
        checked = self.check(expression)
        if checked.error or checked.type is None or checked.type in types:
            return checked.error
        return f"must evaluate to {types[0]}" if len(types) == 1 else f"must evaluate to one of [{' '.join(types)}]"


def shape_of(type: str | None) -> Shape:
    """What a value of this type is made of, as far as it is needed to use it further."""
    return next((shape for shape in (BOOL, INT, DOUBLE, STRING, BYTES) if shape.name == type), ANY)


def _made(source: str) -> tuple[Struct, ...]:
    """The objects that an expression makes. Which fields an object has is for the merge to say: here it has all."""
    words = dict.fromkeys(re.findall(r"([A-Za-z_]\w*)\s*:", source), ANY)
    return tuple(Struct(found[0], words) for found in re.finditer(r"\bObject(?:_\w+)?(?=\s*\{)", source))


def _engine(variables: Mapping[str, Shape], structs: Sequence[Struct]) -> tuple[Any, Any]:
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_bindings, ext_optional

    from kubrick_cel.messages import pool

    known = pool(_structs(variables, structs))
    engine = cel.NewEnv(
        known,
        variables={name: cel.Type(_name(shape)) for name, shape in variables.items()},
        extensions=[ext_optional.ExtOptional(), ext_bindings.ExtBindings()],
        functions=_functions(),
    )
    return engine, known


def _structs(variables: Mapping[str, Shape], structs: Sequence[Struct]) -> list[Struct]:
    found = list(structs)
    for shape in variables.values():
        while isinstance(shape, (ListOf, MapOf)):
            shape = shape.item if isinstance(shape, ListOf) else shape.value
        if isinstance(shape, Struct):
            found.append(shape)
    return found


def _name(shape: Shape) -> str:
    """A type as the engine reads it."""
    if isinstance(shape, ListOf):
        return f"list<{_name(shape.item)}>"
    if isinstance(shape, MapOf):
        return f"map<string,{_name(shape.value)}>"
    return shape.name


@cache
def _functions() -> list[Any]:
    from cel_expr_python import cel

    overloads: dict[str, list[Any]] = {}
    for line in FUNCTIONS.split("\n"):
        if not line:
            continue
        call, _, result = line.partition(") ")
        called, _, arguments = call.partition("(")
        receiver, _, method = called.rpartition(".")
        member = receiver in ABBREVIATIONS or receiver in ("string", "list")
        types = [receiver, *filter(None, arguments.split(","))] if member else [*filter(None, arguments.split(","))]
        overload = cel.Overload(
            f"k8s_{line.replace(' ', '_')}",
            cel.Type(_long(result)),
            [cel.Type(_long(name)) for name in types],
            member,
        )
        overloads.setdefault(method if member else called, []).append(overload)
    return [cel.FunctionDecl(name, found) for name, found in overloads.items()]


def _long(name: str) -> str:
    return re.sub(r"\w+", lambda word: ABBREVIATIONS.get(word[0], word[0]), name)


def _replaced(source: str, line: int, column: int) -> str:
    """The source with "string" before this parenthesis made Kubernetes' own."""
    lines = source.split("\n")
    text = lines[line - 1]
    start = text.rfind("string", 0, column - 1)
    lines[line - 1] = f"{text[:start]}k8sstr{text[start + 6 :]}"
    return "\n".join(lines)


def _in_words(text: str, source: str, expression: str) -> str:
    """The engine's refusal as cel-go words it."""
    text = text.removeprefix(INVALID).removesuffix(" [INVALID_ARGUMENT]")
    text = re.sub(r"(undefined field '[^']*') not found in struct '[^']*'", r"\1", text)
    text = text.replace("has() argument must be a field selection", "invalid argument to has() macro")
    text = UNDECLARED.sub(lambda found: _undeclared(found, source), text)
    text = NO_OVERLOAD.sub(lambda found: _overload(found, source), text)
    for made, meant in zip(source.split("\n"), expression.split("\n"), strict=True):
        if made != meant:
            text = text.replace(f" | {made}", f" | {meant}")
    return "compilation failed: " + re.sub(r"Object_[A-Za-z_]\w*", lambda name: name[0].replace("_", "."), text)


def _undeclared(found: re.Match[str], source: str) -> str:
    """Of a name with dots the first part is what isn't there, and where."""
    line, column, name = int(found[1]), int(found[2]), found[3]
    text, before = source.split("\n")[line - 1], name.rpartition(".")[0]
    start = column - 1 - len(before)
    if text[max(start, 0) : column - 1] != before:
        return found[0]
    return (
        f"<input>:{line}:{start + 1}: undeclared reference to '{name.partition('.')[0]}'{found[4]}{found[5][:start]}^"
    )


def _overload(found: re.Match[str], source: str) -> str:
    """Arguments of a method: cel-go sets apart what it was called on."""
    line, column, name, arguments = source.split("\n")[int(found[2]) - 1], int(found[3]), found[4], _shown(found[5])
    before = line[: column - 1].rstrip()
    method = before.endswith(name) and before[: -len(name)].rstrip().endswith(".")
    if method:
        first, rest = _split(arguments)
        arguments = f"{first}.({rest})"
    else:
        arguments = f"({arguments})"
    return f"{found[1]}{arguments}'"


def _split(arguments: str) -> tuple[str, str]:
    """The first of several types, and the others."""
    depth = 0
    for i, letter in enumerate(arguments):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            return arguments[:i], arguments[i + 1 :].strip()
    return arguments, ""


def _shown(name: str) -> str:
    """The engine's name of a type as cel-go writes it: ``list(string)``."""
    name = name.replace("<", "(").replace(">", ")")
    return re.sub(r"\b(?:[A-Z]{3,}|null)\b", lambda word: _TYPES.get(word[0], word[0]), name)


_TYPES = {
    **{
        name.upper(): name
        for name in ("bool", "bytes", "double", "dyn", "int", "list", "map", "string", "uint", "type", "error")
    },
    "DURATION": "google.protobuf.Duration",
    "TIMESTAMP": "google.protobuf.Timestamp",
    "NULL": "null_type",
}
