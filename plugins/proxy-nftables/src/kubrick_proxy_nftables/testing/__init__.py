"""To try rules without a kernel: `FakeNft` takes the same commands, refuses what the kernel refuses, and traces
packets; `semantics` says in plain Python where Kubernetes wants a packet to go."""

from kubrick_proxy_nftables.testing.fake import FakeNft
from kubrick_proxy_nftables.testing.trace import Outcome, Packet, Tracer

__all__ = ["FakeNft", "Outcome", "Packet", "Tracer"]
