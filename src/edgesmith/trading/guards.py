"""What a run does about events out of order and strategies that raise."""

from __future__ import annotations

import traceback
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgesmith.errors import EdgesmithError, HaltError, StrategyError

# Error records kept for the manifest; later ones are only counted.
MAX_ERROR_RECORDS = 50


class OrderingMode(StrEnum):
    """STRICT stops the run at the first violation; WARN counts it and goes on."""

    STRICT = "strict"
    WARN = "warn"


class ErrorPolicy(StrEnum):
    """What happens when a Python strategy raises."""

    FAIL_FAST = "fail_fast"
    SKIP = "skip"
    QUARANTINE = "quarantine"


class GuardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Guards of a run. After `max_errors` contained errors the run halts under any policy."""

    ordering: OrderingMode = OrderingMode.STRICT
    errors: ErrorPolicy = ErrorPolicy.FAIL_FAST
    max_errors: Annotated[int, Meta(ge=1, le=1_000_000)] = 100


class ErrorRecord(msgspec.Struct, frozen=True):
    """One contained error and the thing the strategy was looking at."""

    hook: str
    now_ns: int
    error: str
    input: Any


class ErrorGuard:
    """Contains what a strategy's hooks raise, as its policy says."""

    def __init__(self, config: GuardConfig, strategy_name: str) -> None:
        self._config = config
        self._strategy_name = strategy_name
        self.policy = config.errors
        self.count = 0
        self.records: list[ErrorRecord] = []

    def contain(self, error: Exception, hook: str, now_ns: int, subject: Any) -> None:
        """Count and keep `error`, or raise StrategyError (fail fast) or HaltError (too many)."""
        if isinstance(error, EdgesmithError) and not isinstance(error, StrategyError):
            raise error
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({where.filename.rsplit('/', 1)[-1]}:{where.lineno})"
        if self._config.errors is ErrorPolicy.FAIL_FAST:
            raise StrategyError(f"strategy '{self._strategy_name}' raised in {hook}: {text}") from error
        self.count += 1
        if len(self.records) < MAX_ERROR_RECORDS or self._config.errors is ErrorPolicy.QUARANTINE:
            self.records.append(ErrorRecord(hook, now_ns, text, msgspec.to_builtins(subject)))
        if self.count >= self._config.max_errors:
            raise HaltError(f"strategy '{self._strategy_name}' raised {self.count} times, the limit; the last: {text}")
