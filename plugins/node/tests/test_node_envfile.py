"""Environment from files that containers leave to each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_node.envfile import BadFile, value_of
from kubrick_node.environment import BadEnvironment, World, environment

FILE = """
# what the first container found out
NAME='web'
  INDENTED='yes' # a comment
LINES='one
# two
three'
SPACED= 'empty'
NAME='again'
"""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("NAME", "web"),
        ("INDENTED", "yes"),
        ("LINES", "one\n# two\nthree"),
        ("SPACED", ""),
        ("ABSENT", ""),
        ("# two", ""),
    ],
)
def test_the_first_value_of_a_name_counts(key, value):
    assert value_of(FILE, key) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A='1'\nB", "at line 2: missing '='"),
        ("='1'", "at line 1: empty variable name"),
        ("A ='1'", "at line 1: whitespace before '=' is not allowed"),
        ("A=1", "at line 1: value must be enclosed in single quotes"),
        ("A='1\n2' 3", "at line 2: unexpected content after closing quote"),
        ("\nA='1\n2\n", "starting at line 2: unclosed single quote"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(text, problem):
    with pytest.raises(BadFile, match="invalid environment variable format") as caught:
        value_of(text, "Z")
    assert str(caught.value).endswith(problem)


def test_what_stands_behind_the_value_is_not_looked_at():
    assert value_of("A='1'\nnonsense", "A") == "1"


@given(st.dictionaries(st.from_regex(r"\A[A-Z_]{1,5}\Z"), st.text('ab #=\n"$\\', min_size=1)))
def test_whatever_has_been_written_is_read(values):
    text = "".join(f"{name}='{value}'\n" for name, value in values.items())
    assert {name: value_of(text, name) for name in values} == values


def variables(text, **reference):
    asked = {"volumeName": "files", "path": "env", "key": "A", **reference}
    container = {"name": "web", "env": [{"name": "X", "valueFrom": {"fileKeyRef": asked}}]}
    pod = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"containers": [container]}}

    def file(volume, path):
        if text is None:
            raise FileNotFoundError(path)
        return f"/{volume}/{path}", text

    world = World({}.get, {}.get, {}, {}, file=file)
    return environment(pod, container, world).variables


def test_a_variable_has_the_value_from_the_file():
    assert variables("A='1'") == {"X": "1"}
    assert variables("B='1'", optional=True) == {}


def test_a_variable_that_the_file_does_not_have_keeps_the_container_waiting():
    with pytest.raises(BadEnvironment, match='environment variable key "A" not found in file "/files/env"'):
        variables("B='1'")
    for text in ("A=1", None):
        with pytest.raises(BadEnvironment, match="couldn't parse env file"):
            variables(text)


def test_a_volume_that_the_pod_does_not_have_is_named():
    world = World({}.get, {}.get, {}, {})
    with pytest.raises(BadEnvironment, match='cannot find the volume "files" referenced by FileKeyRef'):
        world.file("files", "env")
