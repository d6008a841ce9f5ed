"""For tests of what drives or uses a node: a runtime whose containers are processes of this machine."""

from kubrick_node.testing.processes import ProcessRuntime

__all__ = ["ProcessRuntime"]
