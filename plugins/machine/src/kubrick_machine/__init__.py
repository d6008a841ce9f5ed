"""This machine as the whole cluster: its bridge and its kernel's switches first, and nothing left behind."""

from collections.abc import Sequence

from kubrick_kernel import Component, Composition, Kernel, hookimpl


@hookimpl
def kubrick_register_components(kernel: Kernel) -> Sequence[Component]:
    from kubrick_machine.ground import Ground

    ground = Ground(kernel)
    kernel.offer(Ground, ground)
    return [ground]


@hookimpl
def kubrick_register_sweepers(kernel: Kernel) -> Sequence[Component]:
    from kubrick_machine.ground import Ground

    return [kernel.find(Ground)]


@hookimpl
def kubrick_register_obstacles(composition: Composition) -> Sequence[str]:
    """Whether this user on this machine can run containers at all."""
    from kubrick_machine.rights import obstacles

    return obstacles()
