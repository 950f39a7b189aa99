"""The error tree; each class says what the caller can do about it.

EdgesmithError
├── InputError        the user gave something unusable: fix the argument or the config (exit code 2)
│   └── UnknownNameError    a name that is not registered; carries what is possible
├── DataError         the data is wrong or missing: investigate the data (exit code 3)
│   ├── CorruptDataError    bytes that cannot be what they claim to be
│   └── OrderingError       events out of order or duplicated
├── StrategyError     user strategy code failed: fix the strategy (exit code 2)
├── TransportError    the network or a venue failed: retry later (exit code 5)
├── WorkerError       worker processes keep dying: free memory or use fewer (exit code 7)
└── HaltError         a limit was reached: the run must stop (exit code 6)

Every message says what it was, what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable


class EdgesmithError(Exception):
    """Base of every error edgesmith raises on purpose."""

    exit_code = 1


class InputError(EdgesmithError):
    """Unusable argument, option, file or configuration."""

    exit_code = 2


# More names than these are no line to read.
NAMES_MAX, NEAREST = 50, 8


class UnknownNameError(InputError):
    """A name that is not registered; the message lists what is possible, or the nearest where there are many."""

    def __init__(self, what: str, name: str, possible: Iterable[str]) -> None:
        names = sorted(possible)
        choices = ", ".join(names) or "none"
        if len(names) > NAMES_MAX:
            import difflib

            near = [one for one in names if name and name in one] + difflib.get_close_matches(name, names, NEAREST, cutoff=0.5)
            near = list(dict.fromkeys(near or names))[:NEAREST]
            choices = f"{', '.join(sorted(near))} and {len(names) - len(near)} more"
        super().__init__(f"unknown {what} '{name}'; possible: {choices}")
        self.name = name


class DataError(EdgesmithError):
    """Data that is missing or wrong."""

    exit_code = 3


class CorruptDataError(DataError):
    """Bytes that cannot be what they claim to be."""


class OrderingError(DataError):
    """Events out of order or duplicated."""


class StrategyError(EdgesmithError):
    """User strategy code failed."""

    exit_code = 2


class TransportError(EdgesmithError):
    """The network or a venue failed; trying again may help."""

    exit_code = 5


class HaltError(EdgesmithError):
    """A limit was reached and the run must stop."""

    exit_code = 6


class WorkerError(EdgesmithError):
    """Worker processes keep dying; with more memory or fewer workers it may work."""

    exit_code = 7
