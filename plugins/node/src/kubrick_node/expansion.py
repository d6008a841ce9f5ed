"""Kubernetes' ``$(NAME)`` syntax in commands, arguments, environment values and sub-paths. Pure.

``$(NAME)`` becomes the variable's value; a name that is not known stays as it is written; ``$$`` is one
dollar sign, so ``$$(NAME)`` is never expanded; any other dollar sign stands for itself.
"""

import re
from collections.abc import Callable, Mapping, Sequence

_OPERATOR = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`text` with its references replaced."""
    if "$" not in text:
        return text
    return _OPERATOR.sub(_replacement(variables), text)


def expand_all(texts: Sequence[str], variables: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(expand(text, variables) for text in texts)


def unknown_names(text: str, variables: Mapping[str, str]) -> list[str]:
    """Names that `text` refers to and that nobody knows: an error where Kubernetes is strict (subPathExpr)."""
    found = (match[1] for match in _OPERATOR.finditer(text) if match[1] is not None)
    return [name for name in found if name not in variables]


def _replacement(variables: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if name is None else variables.get(name, match[0])

    return replace
