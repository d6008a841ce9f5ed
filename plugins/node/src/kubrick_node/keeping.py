"""Whether pods, and what they stand on, are left running at the end: one setting of the node's, and several bricks
that go by it."""

from kubrick_kernel import Kernel


def keeps_pods(kernel: Kernel) -> bool:
    """Not where the program runs only to take away what is left."""
    try:
        return bool(kernel.settings("node").keep_pods) and not kernel.sweeping
    except LookupError:
        return False
