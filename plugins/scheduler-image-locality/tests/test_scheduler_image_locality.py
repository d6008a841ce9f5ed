import pytest
from hypothesis import given, settings

from kubrick_scheduler.testing import check_plugin, make_table, node, pod, scores
from kubrick_scheduler.testing.strategies import clusters, pods
from kubrick_scheduler_image_locality.plugin import ImageLocality, normalized

MB = 1024 * 1024


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", "nginx:latest"),
        ("nginx:1", "nginx:1"),
        ("registry:5000/app", "registry:5000/app:latest"),
        ("registry:5000/app:2", "registry:5000/app:2"),
    ],
)
def test_an_image_without_a_tag_is_the_latest(image, expected):
    assert normalized(image) == expected


def test_nodes_with_the_image_are_better_scaled_by_how_many_have_it():
    table = make_table([node("a", images={"nginx:latest": 500 * MB}), node("b")])
    # 500 MB on one of two nodes count as 250: (250 - 23) / (1000 - 23).
    assert scores(ImageLocality(), pod(image="nginx"), table) == {"a": 23, "b": 0}


def test_small_images_count_nothing_and_big_ones_all():
    table = make_table([node("a", images={"tiny:1": 20 * MB, "huge:1": 3000 * MB})])
    assert scores(ImageLocality(), pod(image="tiny:1"), table) == {"a": 0}
    assert scores(ImageLocality(), pod(image="huge:1"), table) == {"a": 100}


def test_the_upper_bound_grows_with_the_containers_and_image_volumes():
    table = make_table([node("a", images={"huge:1": 1000 * MB})])
    volume = {"name": "data", "image": {"reference": "other:1"}}
    assert scores(ImageLocality(), pod(image="huge:1", volumes=[volume]), table) == {
        "a": (1000 - 23) * 100 // (2000 - 23)
    }


def test_a_new_image_on_a_node_is_seen():
    plugin, table = ImageLocality(), make_table([node("a"), node("b")])
    assert scores(plugin, pod(image="x:1"), table) == {"a": 0, "b": 0}
    table.put_node(node("b", images={"x:1": 2000 * MB}))
    assert scores(plugin, pod(image="x:1"), table) == {"a": 0, "b": 100}
    table.remove_node("a")
    assert scores(plugin, pod(image="x:1"), table) == {"b": 100}


def plain_score(pod, node, nodes):
    spec = pod["spec"]
    images = [c["image"] for c in (*spec.get("initContainers", ()), *spec["containers"])]

    def size(node, image):
        return next((i["sizeBytes"] for i in node["status"].get("images", ()) if normalized(image) in i["names"]), None)

    total = 0
    for image in images:
        if size(node, image) is not None:
            having = sum(1 for n in nodes if size(n, image) is not None)
            total += int(size(node, image) * (having / len(nodes)))
    most = 1000 * MB * len(images)
    return 100 * (min(max(total, 23 * MB), most) - 23 * MB) // (most - 23 * MB)


@settings(deadline=None)
@given(clusters(), pods())
def test_it_equals_looking_at_each_node(cluster, new):
    nodes, bound = cluster
    table = make_table(nodes, bound)
    expected = {n["metadata"]["name"]: plain_score(new, n, nodes) for n in nodes}
    assert scores(ImageLocality(), new, table) == expected
    check_plugin(ImageLocality(), table, [new])
