"""What we see: causal numbers computed from market events, the same machine code in research and live.

Reading order: `price` for what a feature looks like, `operator` for what it is made of, `catalog` for how to ask for one,
`program` for how a set becomes one kernel, `condition` for predicates over its rows. Nothing here reads files, sockets or
the clock, and importing a feature's definition compiles nothing.
"""
