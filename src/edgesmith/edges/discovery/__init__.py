"""The search: one pass over a replay, block sums, and a verdict for every cell looked at.

Reading order: `config`, `pipeline` (the whole job), `scan` (data to sums), `judge` (sums to cells), `verdict`, `result`.
"""
