"""Which tests may not run beside each other: with several workers, files of which one worker has all."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# each Ray takes both cores for seconds to start, and says so where it finds another
ALONE = ("tests/sweep/test_ray.py",)


class Turns(LoadScopeScheduling):
    """Gives out tests one by one, those of a file in ALONE together.

    The mark xdist_group would say so beside the test; pytest-xdist 3.8 does not see it from pytest 9.2 on, and tells nobody.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in ALONE else nodeid
