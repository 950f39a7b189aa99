"""How we judge a number: decision times, forward labels with their cost, block sums, and tests that know ticks overlap.

Knows nothing of strategies or edges. Reading order: `labels` (what is predicted), `sampling` and `panel` (events to rows),
`bins` (rows to codes), `blocks` (codes and labels to sums), `significance` (sums to p-values).
"""
