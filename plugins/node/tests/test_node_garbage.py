"""Which images nobody needs, decided without a disk; and their removal."""

from collections.abc import Iterable

import trio

from kubrick_node.collector import Collector
from kubrick_node.eviction import Observed
from kubrick_node.garbage import Policy, Records, to_free
from kubrick_node.runtime import Image, RuntimeFailure


def image(name, size=100, pinned=False):
    return Image(f"sha256:{name}", (f"{name}:1",), (f"{name}@sha256:0",), size, pinned=pinned)


def names(images: Iterable[Image]):
    return [one.id.removeprefix("sha256:") for one in images]


def test_collection_begins_at_the_high_mark_and_goes_down_to_the_low_one():
    policy = Policy(high=85, low=80)
    assert to_free(policy, 1000, 160) == 0
    assert to_free(policy, 1000, 159) == 41, "in whole percent, so 84.1 % are 85"
    assert to_free(policy, 1000, 0) == 200


def test_unused_images_go_in_the_order_in_which_they_fell_out_of_use():
    records = Records(Policy(least_age=0.0))
    all_ = [image("a"), image("b"), image("c"), image("d")]
    records.look(all_, {"sha256:a", "b:1", "c@sha256:0"}, 0.0)
    assert names(records.unused(0.0)) == ["d"]
    records.look(all_, {"b:1"}, 10.0)
    assert names(records.unused(10.0)) == ["d", "a", "c"]
    records.look(all_, set(), 20.0)
    assert names(records.unused(20.0)) == ["d", "a", "c", "b"]


def test_a_young_image_stays_as_it_may_be_about_to_be_used():
    records = Records(Policy(least_age=120.0))
    records.look([image("old")], set(), 0.0)
    assert names(records.unused(0.0)) == ["old"], "as old as can be: it was there before us"
    records.look([image("old"), image("new")], set(), 10.0)
    assert names(records.unused(10.0)) == ["old"]
    records.look([image("old"), image("new")], set(), 130.0)
    assert names(records.unused(130.0)) == ["old", "new"]


def test_a_pinned_image_stays():
    records = Records(Policy(least_age=0.0, most_age=1.0))
    records.look([image("pause", pinned=True)], set(), 0.0)
    records.look([image("pause", pinned=True)], set(), 100.0)
    assert (records.unused(100.0), records.outdated(100.0)) == ([], [])


def test_an_image_that_has_been_unused_for_long_goes_whatever_room_there_is():
    records = Records(Policy(most_age=50.0))
    records.look([image("a"), image("b")], {"a:1"}, 0.0)
    assert records.outdated(0.0) == []
    records.look([image("a"), image("b")], set(), 40.0)
    assert records.outdated(40.0) == [], "there has been no time to see them used"
    records.look([image("a"), image("b")], set(), 51.0)
    assert names(records.outdated(51.0)) == ["a", "b"]


class Shelf:
    """A runtime's images."""

    def __init__(self, *images):
        self.images = {one.id: one for one in images}
        self.used = frozenset()
        self.stuck = ""

    async def images_in_use(self):
        return self.used

    async def list_images(self):
        return tuple(self.images.values())

    async def remove_image(self, name):
        if name == self.stuck:
            raise RuntimeFailure("ImageRemoveError", "in use")
        del self.images[name]

    @property
    def left(self):
        return names(self.images.values())


def collector(shelf, available, said):
    level = Observed(available, 1000)
    policy = Policy(least_age=0.0)
    return Collector(shelf, policy, 300.0, lambda: level, lambda *words: said.append(words))


async def test_no_more_is_removed_than_has_to_be(autojump_clock):
    shelf, said = Shelf(image("a", 30), image("b", 30), image("c", 30)), []
    await collector(shelf, 150, said).collect()
    assert shelf.left == ["c"]
    assert said == []


async def test_a_disk_that_cannot_be_freed_is_told_of(autojump_clock):
    shelf, said = Shelf(image("a", 30), image("b", 30)), []
    shelf.used, shelf.stuck = frozenset({"sha256:a"}), ""
    looked = collector(shelf, 100, said)
    await looked.collect()
    text = "Failed to garbage collect required amount of images. "
    text += "Attempted to free 100 bytes, but only found 30 bytes eligible to free."
    assert said == [("Warning", "FreeDiskSpaceFailed", text)]
    text = text.replace("found 30", "found 0")
    await trio.sleep(1)
    await looked.collect()
    assert said[1:] == [("Warning", "FreeDiskSpaceFailed", text), ("Warning", "ImageGCFailed", text)]
    assert shelf.left == ["a"]


async def test_an_image_that_cannot_be_removed_does_not_stand_in_the_others_way(autojump_clock):
    shelf, said = Shelf(image("a"), image("b")), []
    shelf.stuck = "sha256:a"
    await collector(shelf, 900, said).remove_unused()
    assert shelf.left == ["a"]


async def test_a_runtime_that_cannot_say_what_is_used_loses_nothing(autojump_clock):
    shelf = Shelf(image("a"))

    async def unsupported():
        raise RuntimeFailure("Unsupported", "no image use")

    shelf.images_in_use = unsupported
    with trio.move_on_after(1000):
        await collector(shelf, 0, []).run()
    assert shelf.left == ["a"]
