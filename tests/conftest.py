"""The same examples everywhere: hypothesis draws them from the tests themselves, not from the clock."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")
