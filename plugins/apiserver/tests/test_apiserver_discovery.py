"""Discovery and OpenAPI, in the forms that clients ask for."""

from typing import Any

AGGREGATED = "application/json;v={};g=apidiscovery.k8s.io;as=APIGroupDiscoveryList,application/json"


async def test_the_old_documents(web: Any) -> None:
    _, versions = await web("GET", "/api")
    assert (versions["kind"], versions["versions"]) == ("APIVersions", ["v1"])
    _, groups = await web("GET", "/apis")
    assert groups["kind"] == "APIGroupList"
    apps = next(group for group in groups["groups"] if group["name"] == "apps")
    assert apps["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    _, group = await web("GET", "/apis/apps")
    assert (group["kind"], group["name"]) == ("APIGroup", "apps")
    _, resources = await web("GET", "/apis/apps/v1")
    assert (resources["kind"], resources["groupVersion"]) == ("APIResourceList", "apps/v1")
    assert (await web("GET", "/apis/example.com"))[0] == 404
    assert (await web("GET", "/apis/apps/v9"))[0] == 404


async def test_a_resource_is_described_with_its_subresources(web: Any) -> None:
    _, resources = await web("GET", "/api/v1")
    by_name = {entry["name"]: entry for entry in resources["resources"]}
    pods = by_name["pods"]
    assert (pods["singularName"], pods["shortNames"], pods["categories"]) == ("pod", ["po"], ["all"])
    assert pods["verbs"] == sorted(pods["verbs"])
    assert pods["storageVersionHash"] == "xPOwRZ+Yhw8="
    eviction = by_name["pods/eviction"]
    assert (eviction["group"], eviction["version"], eviction["kind"]) == ("policy", "v1", "Eviction")


async def test_aggregated_discovery_has_everything_and_an_etag(web: Any) -> None:
    for version in ("v2", "v2beta1"):
        response = await web.respond("GET", "/apis", headers={"Accept": AGGREGATED.format(version)})
        assert response.content_type == f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        tag = dict(response.headers)["ETag"]
        again = await web.respond("GET", "/apis", headers={"Accept": AGGREGATED.format(version), "If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")
    _, found = await web("GET", "/api", headers={"Accept": AGGREGATED.format("v2")})
    (core,) = found["items"]
    pods = next(each for each in core["versions"][0]["resources"] if each["resource"] == "pods")
    assert pods["scope"] == "Namespaced"
    assert {key: value for key, value in pods["subresources"][-1].items() if key != "verbs"} == {
        "subresource": "status",
        "responseKind": {"group": "", "version": "v1", "kind": "Pod"},
    }


async def test_openapi_is_indexed_by_hash(web: Any) -> None:
    _, index = await web("GET", "/openapi/v3")
    url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
    response = await web.respond("GET", url)
    assert response.status == 200
    assert ("Cache-Control", "public, immutable") in response.headers
    stale = await web.respond("GET", "/openapi/v3/apis/apps/v1?hash=OLD")
    assert (stale.status, dict(stale.headers)["Location"]) == (301, url)
    _, document = await web("GET", "/openapi/v3/api/v1")
    assert document["openapi"].startswith("3.")
    assert "/api/v1/namespaces/{namespace}/pods" in document["paths"]
    _, swagger = await web("GET", "/openapi/v2")
    assert swagger["swagger"] == "2.0"
