"""Where a node is and where its pods' things stand on it.

Everything of a pod stands under one directory, so that a restarted agent finds it again and an orphan can be
taken down without anybody remembering it::

    pods/<uid>/volumes/<plugin>/<volume>     what VolumePlugins set up
    pods/<uid>/subpaths/<volume>/<container>/<index>
    pods/<uid>/etc-hosts
"""

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen


@frozen
class Place:
    """Where and what this node is, as its pods see it."""

    root: Path
    node_name: str
    host_ip: str
    allocatable: Mapping[str, str]
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    resolv_conf: Path | None = Path("/etc/resolv.conf")
    host_file: Path = Path("/etc/hosts")

    @property
    def pods(self) -> Path:
        return self.root / "pods"

    def directory(self, uid: str) -> Path:
        """A pod's."""
        return self.pods / uid
