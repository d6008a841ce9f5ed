"""The expressions of webhooks and policies: where each is compiled, and what it must evaluate to."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import define, field

from kubrick_api.errors import FieldError, invalid_value

if TYPE_CHECKING:
    from kubrick_cel.environment import Environment

Errors = Iterator[FieldError]


@define(eq=False)
class Scope:
    """One webhook configuration, or one policy, whose variables become known as they are read."""

    params: bool = False
    mutations: bool = False
    """Whether expressions may make objects and patches."""
    variables: dict[str, str | None] | None = None
    """The type of each of the policy's variables; None when it has none."""
    _environments: dict[tuple[bool, int], "Environment"] = field(factory=dict, init=False)

    def check(self, expression: str, at: str, *types: str, authorizer: bool = True, shown: str = "") -> Errors:
        """`shown` is what the error quotes, when that isn't the expression."""
        if error := self._environment(authorizer).check_is(expression, *types):
            yield invalid_value(at, shown or expression, error)

    def declare(self, name: str, expression: str, at: str) -> Errors:
        """A variable, which those after it may use."""
        checked = self._environment(True).check(expression)
        if checked.error:
            yield invalid_value(at, expression, checked.error)
        if self.variables is not None:
            self.variables[name] = checked.type

    def _environment(self, authorizer: bool) -> "Environment":
        from kubrick_cel.declarations import PATCH, admission
        from kubrick_cel.environment import Environment, shape_of

        key = authorizer, len(self.variables or ())
        if key not in self._environments:
            variables = self.variables
            shapes = None if variables is None else {name: shape_of(kind) for name, kind in variables.items()}
            names = admission(params=self.params, authorizer=authorizer, variables=shapes)
            self._environments[key] = Environment(names, [PATCH] if self.mutations else (), objects=self.mutations)
        return self._environments[key]
