"""What we believe: the search for edges and the record of every look at data.

Never trades and never picks a strategy. Reading order: `discovery` (the search), `trials` (the ledger that counts it).
"""
