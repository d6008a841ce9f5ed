"""A service's endpoints follow its pods, in both forms, and go with it; in virtual time."""

from trio.testing import MockClock

from kubrick_api_apps import DEPLOYMENTS
from kubrick_api_core import ENDPOINTS, SERVICES
from kubrick_api_discovery import ENDPOINT_SLICES
from kubrick_testing import Cluster, build


def addresses(endpoints):
    return sum(len(subset.get("addresses") or ()) for subset in (endpoints or {}).get("subsets") or ())


def endpoints_in(slices):
    """How many endpoints the slices of the service web hold; None when it has no slice."""
    mine = [s for s in slices if s["metadata"].get("labels", {}).get("kubernetes.io/service-name") == "web"]
    return sum(len(s["endpoints"]) for s in mine) if mine else None


async def test_endpoints_follow_the_pods_and_go_with_the_service(
    autojump_clock: MockClock, cluster: Cluster, hollow_nodes
):
    await cluster.client.create(SERVICES, build.service(), "default")
    await cluster.until_all(ENDPOINT_SLICES, lambda slices: endpoints_in(slices) == 0)
    await cluster.client.create(DEPLOYMENTS, build.deployment(replicas=3), "default")
    await cluster.until(ENDPOINTS, "web", lambda found: addresses(found) == 3)
    await cluster.until_all(ENDPOINT_SLICES, lambda slices: endpoints_in(slices) == 3)
    await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 1}}, "default")
    found = await cluster.until(ENDPOINTS, "web", lambda found: addresses(found) == 1)
    assert "endpoints.kubernetes.io/last-change-trigger-time" in found["metadata"]["annotations"]
    await cluster.until_all(ENDPOINT_SLICES, lambda slices: endpoints_in(slices) == 1)
    await cluster.client.delete(SERVICES, "web", "default")
    await cluster.until(ENDPOINTS, "web", lambda found: found is None)
    await cluster.until_all(ENDPOINT_SLICES, lambda slices: endpoints_in(slices) is None)
