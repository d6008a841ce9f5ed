"""What holds for every test of the workspace: property tests repeat themselves, and don't watch the clock."""

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.register_profile("soak", deadline=None, max_examples=10_000, database=None)
settings.load_profile("house")
