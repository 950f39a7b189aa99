"""Other programs on the same work; each module runs in its peer's environment and takes nothing of edgesmith but the clock."""
