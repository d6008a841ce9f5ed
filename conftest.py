"""What holds for every test of the workspace: property tests repeat themselves, and don't watch the clock; and whoever
starts a cluster without saying which gets a simulated one, even as root, whose machine's network would change else."""

import os

from hypothesis import settings

from kubrick_kernel.plugins import PROFILE_VARIABLE

os.environ[PROFILE_VARIABLE] = "hollow"

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.register_profile("soak", deadline=None, max_examples=10_000, database=None)
settings.load_profile("house")
