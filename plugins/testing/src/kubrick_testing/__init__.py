"""A cluster as a fixture.

Installing this distribution gives pytest three fixtures: `cluster` (a control plane in this process on
the memory store, in virtual time when the test also takes ``autojump_clock``), `hollow_nodes` (the same
cluster with nodes) and `real_cluster` (``kubrick up`` as a process of its own). `build` makes objects.

The marker ``@pytest.mark.kubrick(nodes=10, seed=7, enable=[...], disable=[...], settings={...})`` says
what differs for one test.
"""

from kubrick_testing import build
from kubrick_testing.cluster import Cluster, run_cluster
from kubrick_testing.mutation import MutatedObject, MutationDetector
from kubrick_testing.process import RealCluster

__all__ = ["Cluster", "MutatedObject", "MutationDetector", "RealCluster", "build", "run_cluster"]
