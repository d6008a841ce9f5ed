"""Every generally available resource of Kubernetes 1.36 is there, with its verbs, names and subresources."""

import importlib
import re
from types import SimpleNamespace

import pytest

from kubrick_api.resource import APIGroup, Resource

BRICKS = (
    *("core", "apps", "events", "authentication", "authorization", "autoscaling", "batch", "certificates"),
    *("networking", "policy", "rbac", "storage", "admissionregistration", "apiextensions", "apiregistration"),
    *("scheduling", "coordination", "node", "discovery", "resource", "flowcontrol"),
)
SHORT = {
    "CRUD8": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    "GPU": ["get", "patch", "update"],
}
# resource | kind | scope (namespaced or cluster) | verbs | subresources | short names | categories
EXPECTED = """
v1
  bindings | Binding | N | create | - | - | -
  componentstatuses | ComponentStatus | C | get,list | - | cs | -
  configmaps | ConfigMap | N | CRUD8 | - | cm | -
  endpoints | Endpoints | N | CRUD8 | - | ep | -
  events | Event | N | CRUD8 | - | ev | -
  limitranges | LimitRange | N | CRUD8 | - | limits | -
  namespaces | Namespace | C | create,delete,get,list,patch,update,watch | finalize[update] status[GPU] | ns | -
  nodes | Node | C | CRUD8 | proxy[create,delete,get,patch,update] status[GPU] | no | -
  persistentvolumeclaims | PersistentVolumeClaim | N | CRUD8 | status[GPU] | pvc | -
  persistentvolumes | PersistentVolume | C | CRUD8 | status[GPU] | pv | -
  pods | Pod | N | CRUD8 | attach[create,get] binding[create] ephemeralcontainers[GPU] eviction[create] exec[create,get] log[get] portforward[create,get] proxy[create,delete,get,patch,update] resize[GPU] status[GPU] | po | all
  podtemplates | PodTemplate | N | CRUD8 | - | - | -
  replicationcontrollers | ReplicationController | N | CRUD8 | scale[GPU] status[GPU] | rc | all
  resourcequotas | ResourceQuota | N | CRUD8 | status[GPU] | quota | -
  secrets | Secret | N | CRUD8 | - | - | -
  serviceaccounts | ServiceAccount | N | CRUD8 | token[create] | sa | -
  services | Service | N | CRUD8 | proxy[create,delete,get,patch,update] status[GPU] | svc | all
apiregistration.k8s.io/v1
  apiservices | APIService | C | CRUD8 | status[GPU] | - | api-extensions
apps/v1
  controllerrevisions | ControllerRevision | N | CRUD8 | - | - | -
  daemonsets | DaemonSet | N | CRUD8 | status[GPU] | ds | all
  deployments | Deployment | N | CRUD8 | scale[GPU] status[GPU] | deploy | all
  replicasets | ReplicaSet | N | CRUD8 | scale[GPU] status[GPU] | rs | all
  statefulsets | StatefulSet | N | CRUD8 | scale[GPU] status[GPU] | sts | all
events.k8s.io/v1
  events | Event | N | CRUD8 | - | ev | -
authentication.k8s.io/v1
  selfsubjectreviews | SelfSubjectReview | C | create | - | - | -
  tokenreviews | TokenReview | C | create | - | - | -
authorization.k8s.io/v1
  localsubjectaccessreviews | LocalSubjectAccessReview | N | create | - | - | -
  selfsubjectaccessreviews | SelfSubjectAccessReview | C | create | - | - | -
  selfsubjectrulesreviews | SelfSubjectRulesReview | C | create | - | - | -
  subjectaccessreviews | SubjectAccessReview | C | create | - | - | -
autoscaling/v2
  horizontalpodautoscalers | HorizontalPodAutoscaler | N | CRUD8 | status[GPU] | hpa | all
autoscaling/v1
  horizontalpodautoscalers | HorizontalPodAutoscaler | N | CRUD8 | status[GPU] | hpa | all
batch/v1
  cronjobs | CronJob | N | CRUD8 | status[GPU] | cj | all
  jobs | Job | N | CRUD8 | status[GPU] | - | all
certificates.k8s.io/v1
  certificatesigningrequests | CertificateSigningRequest | C | CRUD8 | approval[GPU] status[GPU] | csr | -
networking.k8s.io/v1
  ingressclasses | IngressClass | C | CRUD8 | - | - | -
  ingresses | Ingress | N | CRUD8 | status[GPU] | ing | -
  ipaddresses | IPAddress | C | CRUD8 | - | ip | -
  networkpolicies | NetworkPolicy | N | CRUD8 | - | netpol | -
  servicecidrs | ServiceCIDR | C | CRUD8 | status[GPU] | - | -
policy/v1
  poddisruptionbudgets | PodDisruptionBudget | N | CRUD8 | status[GPU] | pdb | -
rbac.authorization.k8s.io/v1
  clusterrolebindings | ClusterRoleBinding | C | CRUD8 | - | - | -
  clusterroles | ClusterRole | C | CRUD8 | - | - | -
  rolebindings | RoleBinding | N | CRUD8 | - | - | -
  roles | Role | N | CRUD8 | - | - | -
storage.k8s.io/v1
  csidrivers | CSIDriver | C | CRUD8 | - | - | -
  csinodes | CSINode | C | CRUD8 | - | - | -
  csistoragecapacities | CSIStorageCapacity | N | CRUD8 | - | - | -
  storageclasses | StorageClass | C | CRUD8 | - | sc | -
  volumeattachments | VolumeAttachment | C | CRUD8 | status[GPU] | - | -
  volumeattributesclasses | VolumeAttributesClass | C | CRUD8 | - | vac | -
admissionregistration.k8s.io/v1
  mutatingadmissionpolicies | MutatingAdmissionPolicy | C | CRUD8 | - | - | api-extensions
  mutatingadmissionpolicybindings | MutatingAdmissionPolicyBinding | C | CRUD8 | - | - | api-extensions
  mutatingwebhookconfigurations | MutatingWebhookConfiguration | C | CRUD8 | - | - | api-extensions
  validatingadmissionpolicies | ValidatingAdmissionPolicy | C | CRUD8 | status[GPU] | - | api-extensions
  validatingadmissionpolicybindings | ValidatingAdmissionPolicyBinding | C | CRUD8 | - | - | api-extensions
  validatingwebhookconfigurations | ValidatingWebhookConfiguration | C | CRUD8 | - | - | api-extensions
apiextensions.k8s.io/v1
  customresourcedefinitions | CustomResourceDefinition | C | CRUD8 | status[GPU] | crd,crds | api-extensions
scheduling.k8s.io/v1
  priorityclasses | PriorityClass | C | CRUD8 | - | pc | -
coordination.k8s.io/v1
  leases | Lease | N | CRUD8 | - | - | -
node.k8s.io/v1
  runtimeclasses | RuntimeClass | C | CRUD8 | - | - | -
discovery.k8s.io/v1
  endpointslices | EndpointSlice | N | CRUD8 | - | - | -
resource.k8s.io/v1
  deviceclasses | DeviceClass | C | CRUD8 | - | - | -
  resourceclaims | ResourceClaim | N | CRUD8 | status[GPU] | - | -
  resourceclaimtemplates | ResourceClaimTemplate | N | CRUD8 | - | - | -
  resourceslices | ResourceSlice | C | CRUD8 | - | - | -
flowcontrol.apiserver.k8s.io/v1
  flowschemas | FlowSchema | C | CRUD8 | status[GPU] | - | -
  prioritylevelconfigurations | PriorityLevelConfiguration | C | CRUD8 | status[GPU] | - | -
"""  # noqa: E501  (one row a resource)


def expected() -> dict[str, list[str]]:
    rows, group = {}, ""
    for line in EXPECTED.strip().splitlines():
        if not line.startswith(" "):
            group = line
            continue
        cells = [cell.strip() for cell in line.split(" | ")]
        rows[f"{group}/{cells[0]}"] = cells[1:]
    return rows


def all_groups() -> list[APIGroup]:
    def settings(plugin: str) -> object:
        raise LookupError(plugin)

    kernel = SimpleNamespace(settings=settings, random=None)
    bricks = [importlib.import_module(f"kubrick_api_{name}") for name in BRICKS]
    return [group for brick in bricks for group in brick.kubrick_register_api_groups(kernel)]


@pytest.fixture(scope="module")
def served() -> dict[str, Resource]:
    return {f"{r.gvr.api_version}/{r.gvr.resource}": r for group in all_groups() for r in group.resources}


def verbs(text: str) -> list[str]:
    return SHORT.get(text, sorted(text.split(",")))


def test_all_68_resources_are_served_and_no_other(served: dict[str, Resource]) -> None:
    assert len(served) == 68
    assert sorted(served) == sorted(expected())


@pytest.mark.parametrize("path", sorted(expected()))
def test_a_resource_is_served_as_discovery_says(served: dict[str, Resource], path: str) -> None:
    kind, scope, known_verbs, subresources, short, categories = expected()[path]
    resource = served[path]
    assert resource.kind.kind == kind
    assert resource.namespaced == (scope == "N")
    assert sorted(resource.verbs) == verbs(known_verbs)
    found = dict(re.findall(r"(\w+)\[([^]]*)\]", "" if subresources == "-" else subresources))
    assert {name: sorted(sub.verbs) for name, sub in resource.subresources.items()} == {
        name: verbs(text) for name, text in found.items()
    }
    assert list(resource.short_names) == ([] if short == "-" else short.split(","))
    assert list(resource.categories) == ([] if categories == "-" else categories.split(","))


def test_every_schema_is_in_its_brick() -> None:
    for group in all_groups():
        for resource in group.resources:
            assert resource.schema in group.schemas


def test_every_row_fills_its_columns_even_for_an_empty_object(served: dict[str, Resource]) -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 1, 1, tzinfo=UTC)
    for path, resource in served.items():
        if "list" not in resource.verbs:
            continue
        obj = {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:00:00Z"}}
        row = resource.strategy.row(obj, now)
        assert len(row) == len(resource.strategy.columns), path


def test_selectable_fields_are_the_same_for_every_object(served: dict[str, Resource]) -> None:
    for resource in served.values():
        empty = resource.strategy.selectable_fields({})
        some = resource.strategy.selectable_fields({"metadata": {"name": "x"}, "spec": {}, "status": {}})
        assert empty.keys() == some.keys()


def test_defaulting_twice_changes_nothing_more(served: dict[str, Resource]) -> None:
    import copy

    for path, resource in served.items():
        obj = {"metadata": {"name": "x", "namespace": "default"}}
        resource.strategy.default(obj)
        once = copy.deepcopy(obj)
        resource.strategy.default(obj)
        assert obj == once, path
