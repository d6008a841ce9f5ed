"""The kernel stays small, and knows nothing of what it runs."""

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import Any

import pytest

WORDS = {"pod", "pods", "namespace", "namespaces", "kubelet", "kubeconfig", "deployment", "apiserver", "http", "yaml"}
WORDS |= {"https", "kubectl", "resourceversion", "configmap", "daemonset", "replicaset", "etcd3", "containerd"}


@pytest.fixture(scope="session")
def kernel(members: list[Any]) -> Any:
    return next(member for member in members if member.name == "kernel")


def test_the_kernel_can_be_read_over_lunch(kernel: Any) -> None:
    """Under 2,000 lines of code, comments, docstrings, blank lines and the conformance suite not counted."""
    lines = {file: code_lines(file) for file in kernel.modules if "testing" not in file.parts}
    assert sum(lines.values()) < 2000, lines


def code_lines(file: Path) -> int:
    text = file.read_text()
    prose = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in empty:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - prose)


def test_the_kernel_names_nothing_of_kubernetes_in_its_code(kernel: Any) -> None:
    found = []
    for file, tree in kernel.modules.items():
        for node in ast.walk(tree):
            names = [getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "name", None)]
            words = {word for name in names if isinstance(name, str) for word in re.split(r"[^a-z]+", name.lower())}
            found += [f"{file.name}:{getattr(node, 'lineno', 0)}: {word}" for word in words & WORDS]
    assert found == []
