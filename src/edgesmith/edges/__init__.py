"""What we believe: the search for edges and the record of every look at data.

Never trades real money and never picks a strategy. Reading order: `edge` (what a claim is), `discovery` (the search), `trials`
(the ledger that counts it), `null_report` (what the search finds where nothing is), `validation` (the proof), `registry` (what is
known), `vault` (the last question). `baselines` holds other methods, for comparison only.
"""
