"""The component "proxy-guard": service addresses nobody answers for are rejected, from before the first service
until after the last. What an earlier run left of the services stays as it is until the proxy replaces it."""

from collections.abc import Callable

import trio

from kubrick_kernel import ConfigurationError, Kernel, get_logger
from kubrick_proxy_nftables.nft import Nft, Refused, open_nft
from kubrick_proxy_nftables.rules import GUARD, guard_part
from kubrick_proxy_nftables.ruleset import Ruleset
from kubrick_proxy_nftables.settings import Settings

log = get_logger("proxy")
NOT_ROOT = "proxy-nftables: the kernel refuses rules from this process ({error}); run as root, or disable this plugin"


class Guard:
    """`nft` is opened when it runs; the proxy, which requires it, uses the same."""

    name = "proxy-guard"
    requires: tuple[str, ...] = ("machine?",)

    def __init__(self, kernel: Kernel, settings: Settings, open: Callable[[], Nft] = open_nft) -> None:
        self._kernel = kernel
        self._settings = settings
        self._open = open
        self._nft: Nft | None = None

    @property
    def nft(self) -> Nft:
        if self._nft is None:
            raise RuntimeError("the component proxy-guard is not running")
        return self._nft

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        self._settings.check()
        self._nft = nft = self._open()
        rulesets = [Ruleset(family) for family in self._settings.families()]
        ranges = self._settings.service_ranges(self._kernel)
        for ruleset in rulesets:
            ruleset.update({GUARD: guard_part(ruleset.family, ranges)}, 0.0)
        try:
            try:
                nft.run("".join(ruleset.refreshed(only=GUARD) for ruleset in rulesets))
            except Refused as error:
                log.info("a table of another layout is replaced", reason=str(error))
                _install(nft, "".join(ruleset.scratch() for ruleset in rulesets))
            task_status.started()
            await trio.sleep_forever()
        finally:
            if not self._settings.leaves_rules(self._kernel):
                self._remove(nft, "".join(ruleset.removal() for ruleset in rulesets))
            nft.close()

    def _remove(self, nft: Nft, commands: str) -> None:
        try:
            nft.run(commands)
        except Refused as error:
            log.warning("rules stay behind", reason=str(error))


def _install(nft: Nft, commands: str) -> None:
    try:
        nft.run(commands)
    except Refused as error:
        if "not permitted" in str(error):
            raise ConfigurationError(NOT_ROOT.format(error=str(error).splitlines()[0])) from error
        raise
