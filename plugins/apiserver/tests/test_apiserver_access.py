"""Who was allowed something isn't asked again, as long as nobody can have changed their mind."""

import pytest

from kubrick_api.errors import StatusError
from kubrick_api.storage import UserInfo
from kubrick_apiserver.access import AccessControl
from kubrick_apiserver.auth import Access, ResourceRules
from kubrick_apiserver.request_info import parse_target

_, _, _, INFO = parse_target("GET", "/api/v1/namespaces/default/pods/seen")
BOB, EVE = UserInfo("bob"), UserInfo("eve")


class Door:
    """Allows whoever is on the list, and counts how often it is asked."""

    name = "door"
    order = 10

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked = 0

    def authorize(self, access: Access) -> tuple[bool | None, str]:
        self.asked += 1
        return (True if access.user.name in self.names else None), ""

    def rules(self, user: UserInfo, namespace: str) -> ResourceRules:
        return ResourceRules([], [])


class VersionedDoor(Door):
    def version(self) -> object:
        return self.names


def test_what_was_allowed_is_asked_again_when_the_version_changes() -> None:
    door = VersionedDoor("bob")
    control = AccessControl([door])
    for _ in range(3):
        control.check_request(INFO, BOB)
    assert door.asked == 1
    with pytest.raises(StatusError):
        control.check_request(INFO, EVE)
    door.names = ("eve",)
    with pytest.raises(StatusError):
        control.check_request(INFO, BOB)
    control.check_request(INFO, EVE)


def test_refusals_are_not_remembered() -> None:
    door = VersionedDoor()
    control = AccessControl([door])
    for _ in range(2):
        with pytest.raises(StatusError):
            control.check_request(INFO, BOB)
    assert door.asked == 2


def test_another_user_of_the_same_name_is_asked_about() -> None:
    door = VersionedDoor("bob")
    control = AccessControl([door])
    control.check_request(INFO, BOB)
    control.check_request(INFO, UserInfo("bob"))
    assert door.asked == 2


@pytest.mark.parametrize("others", [(), (VersionedDoor("bob"),)])
def test_one_authorizer_without_versions_has_all_of_them_asked_each_time(others: tuple[Door, ...]) -> None:
    door = Door("bob")
    control = AccessControl([door, *others])
    for _ in range(2):
        control.check_request(INFO, BOB)
    door.names = ()
    for other in others:
        other.names = ()
    with pytest.raises(StatusError):
        control.check_request(INFO, BOB)
    assert door.asked == 3
