"""What a user can say about the machine."""

from attrs import frozen


@frozen
class Settings:
    """``[plugins.machine]``. With `keep_pods` the bridge and the mounts that running pods need stay when the
    program ends."""

    keep_pods: bool = False
