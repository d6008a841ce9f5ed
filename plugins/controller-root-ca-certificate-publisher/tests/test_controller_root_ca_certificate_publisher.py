"""The published certificate, as an object."""

from kubrick_controller_root_ca_certificate_publisher import DESCRIPTION, published


def test_a_missing_config_map_is_made_whole():
    made = published("team", "PEM", None)
    assert made["data"] == {"ca.crt": "PEM"}
    assert made["metadata"]["name"] == "kube-root-ca.crt"
    assert made["metadata"]["annotations"]["kubernetes.io/description"] == DESCRIPTION


def test_a_changed_one_is_put_right_and_keeps_what_others_wrote():
    found = {"metadata": {"name": "kube-root-ca.crt", "annotations": {"a": "b"}}, "data": {"ca.crt": "old", "x": "y"}}
    made = published("team", "PEM", found)
    assert made["data"] == {"ca.crt": "PEM"}
    assert made["metadata"]["annotations"]["a"] == "b"
    assert published("team", "PEM", made) is None
