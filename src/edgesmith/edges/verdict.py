"""The words an edge can be called by: one ladder, from what must not be believed to what may be traded."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The rungs in the order they are asked; the first that applies is the verdict."""

    LEAK = "LEAK"
    INSUFFICIENT = "INSUFFICIENT"
    REJECT_NULL = "REJECT_NULL"
    REJECT_COST = "REJECT_COST"
    REJECT_UNSTABLE = "REJECT_UNSTABLE"
    REJECT_DECAYED = "REJECT_DECAYED"
    CANDIDATE = "CANDIDATE"
    VALIDATED = "VALIDATED"

    @property
    def words(self) -> str:
        """Return the verdict as a person would say it."""
        return _WORDS[self]

    @property
    def rank(self) -> int:
        """Return 0 for the strongest verdict, counting up to what says least."""
        return _STRONGEST_FIRST.index(self)


_WORDS = {
    Verdict.LEAK: "knows the future",
    Verdict.INSUFFICIENT: "too little data to say",
    Verdict.REJECT_NULL: "nothing",
    Verdict.REJECT_COST: "real but costs eat it",
    Verdict.REJECT_UNSTABLE: "real but not steady",
    Verdict.REJECT_DECAYED: "was real and has faded",
    Verdict.CANDIDATE: "real",
    Verdict.VALIDATED: "proven on data nobody searched",
}
_STRONGEST_FIRST = (
    Verdict.VALIDATED,
    Verdict.CANDIDATE,
    Verdict.REJECT_DECAYED,
    Verdict.REJECT_UNSTABLE,
    Verdict.REJECT_COST,
    Verdict.REJECT_NULL,
    Verdict.INSUFFICIENT,
    Verdict.LEAK,
)
