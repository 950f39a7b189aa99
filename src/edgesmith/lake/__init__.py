"""Where events rest: one checked Parquet file per venue, stream, symbol and UTC day, and their replay as one sequence.

It never interprets a market, never invents a row and never changes one: `seq` is the only column it adds.

Reading order: `schema` (what a partition is), `rows`, `figures`, `datafile`, `atomic`, `segments` and `stream_write` (writing),
`catalog` (finding), `quality` (checking), `sequence`, `merge`, `replay` (reading in order).
"""
