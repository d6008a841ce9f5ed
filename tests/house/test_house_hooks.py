"""A hook is a promise: documented, tested, used by something that ships, and answered with its own types."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen


@frozen
class Hook:
    """A function marked @hookspec or @hookimpl, its types as written, without quotes and module names."""

    owner: str
    name: str
    arguments: dict[str, str]
    returns: str
    documented: bool

    @property
    def signature(self) -> str:
        """As docs/reference/hooks.md shows it."""
        arguments = ", ".join(f"{name}: {kind}" for name, kind in self.arguments.items())
        return f"{self.name}({arguments}) -> {self.returns}"


def marked(members: list[Any], marker: str) -> Iterator[Hook]:
    for member in members:
        for tree in member.modules.values():
            for node in tree.body:
                if isinstance(node, ast.FunctionDef) and any(marker in ast.unparse(d) for d in node.decorator_list):
                    yield Hook(
                        member.name,
                        node.name,
                        {argument.arg: written(argument.annotation) for argument in node.args.args},
                        written(node.returns),
                        ast.get_docstring(node) is not None,
                    )


def written(annotation: ast.expr | None) -> str:
    """An annotation as text: ``"Sequence[composition.Profile]"`` is Sequence[Profile]."""
    if annotation is None:
        return "nothing"

    class Plain(ast.NodeTransformer):
        def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
            return ast.Name(node.attr)

        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            return self.visit(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node

    return ast.unparse(Plain().visit(annotation))


@pytest.fixture(scope="session")
def specs(members: list[Any]) -> dict[str, Hook]:
    return {hook.name: hook for hook in marked(members, "hookspec")}


@pytest.fixture(scope="session")
def answers(members: list[Any]) -> list[Hook]:
    return list(marked(members, "hookimpl"))


def test_every_hook_has_a_documented_signature(specs: dict[str, Hook], root: Path) -> None:
    page = (root / "docs" / "reference" / "hooks.md").read_text()
    missing = [hook.signature for hook in specs.values() if f"`{hook.signature}`" not in page or not hook.documented]
    assert not missing, "\n".join(missing)


def test_the_page_of_hooks_names_no_hook_that_is_gone(specs: dict[str, Hook], root: Path) -> None:
    page = (root / "docs" / "reference" / "hooks.md").read_text()
    named = set(re.findall(r"^`(kubrick_\w+)\(", page, re.MULTILINE))
    assert named == set(specs)


def test_every_hook_is_named_for_what_it_does(specs: dict[str, Hook]) -> None:
    assert [name for name in specs if not name.startswith(("kubrick_register_", "kubrick_add_", "kubrick_open_"))] == []


def test_every_hook_has_a_shipped_user(specs: dict[str, Hook], answers: list[Hook]) -> None:
    assert set(specs) - {answer.name for answer in answers} == set()


def test_every_hook_has_a_test(specs: dict[str, Hook], members: list[Any], root: Path) -> None:
    files = [file for member in members for file in member.tests] + list((root / "tests").rglob("test_*.py"))
    tested = "".join(file.read_text() for file in files if file != Path(__file__))
    assert [name for name in specs if name not in tested] == []


def test_every_answer_has_the_types_of_its_hook(specs: dict[str, Hook], answers: list[Hook]) -> None:
    wrong = []
    for answer in answers:
        spec = specs[answer.name]
        extra = {name: kind for name, kind in answer.arguments.items() if spec.arguments.get(name) != kind}
        if extra:
            wrong.append(f"{answer.owner}: {answer.name}: {extra} should be {spec.arguments}")
        if answer.returns not in acceptable(spec.returns):
            wrong.append(f"{answer.owner}: {answer.name} returns {answer.returns}, not {spec.returns}")
    assert not wrong, "\n".join(wrong)


def acceptable(returns: str) -> set[str]:
    """An answer may promise more than it must: a value where None is allowed too."""
    return {returns, returns.removesuffix(" | None")}
