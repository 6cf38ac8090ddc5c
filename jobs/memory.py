"""A limit to the memory of a process, for those that must fail before the machine does."""

from __future__ import annotations

import resource


def limit_data(wanted: int) -> None:
    """Refuse this process more than so many bytes of data, or than it was started with where that is less.

    Linux alone holds to it (setrlimit(2), RLIMIT_DATA). Raises OSError or ValueError where the system will not.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
