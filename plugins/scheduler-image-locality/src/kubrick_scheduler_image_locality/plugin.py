"""Score by the bytes of the pod's images a node already has.

An image counts with its size times the share of nodes that have it (so that one node with a big image isn't
flooded); the sum is brought to 0..100 between 23 MB and 1000 MB per container. An image's size is taken from
each node's own report.
"""

import numpy as np
from numpy.typing import NDArray

from kubrick_scheduler import MAX_NODE_SCORE, NodeTable, PodInfo

MB = 1024 * 1024
MIN_THRESHOLD = 23 * MB
MAX_CONTAINER_THRESHOLD = 1000 * MB
KEPT = 256

IntArray = NDArray[np.int64]


def normalized(image: str) -> str:
    """An image's name as nodes report it: with a tag."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"


class ImageLocality:
    name = "ImageLocality"
    weight = 1

    def __init__(self) -> None:
        self._nodes: NodeTable | None = None
        self._of: tuple[int, int] = (0, 0)
        self._answers: dict[tuple[str, ...], IntArray | int] = {}

    def score(self, pod: PodInfo, nodes: NodeTable) -> IntArray | int:
        now = (nodes.image_version, nodes.size)
        if nodes is not self._nodes or now != self._of or len(self._answers) > KEPT:
            self._nodes, self._of = nodes, now
            self._answers.clear()
        answer = self._answers.get(pod.images)
        if answer is None:
            answer = self._answers[pod.images] = _score(pod.images, nodes)
        return answer


def _score(images: tuple[str, ...], nodes: NodeTable) -> IntArray | int:
    if not any(nodes.image_sizes(normalized(image)) for image in images):
        return 0
    sums = np.zeros(nodes.size, np.int64)
    for image in images:
        sizes = nodes.image_sizes(normalized(image))
        if sizes:
            spread = len(sizes) / len(nodes)
            rows = np.fromiter(sizes.keys(), np.intp, len(sizes))
            sums[rows] += (np.fromiter(sizes.values(), np.float64, len(sizes)) * spread).astype(np.int64)
    most = max(MAX_CONTAINER_THRESHOLD * len(images), MIN_THRESHOLD + 1)
    bounded = np.clip(sums, MIN_THRESHOLD, most)
    score: IntArray = MAX_NODE_SCORE * (bounded - MIN_THRESHOLD) // (most - MIN_THRESHOLD)
    return score
