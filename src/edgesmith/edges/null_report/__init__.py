"""The null report: what the search finds where nothing can be found, on the user's own data, and what it could not see.

Reading order: `result`, `pipeline` (the whole job), `searched` (one placebo), `calibration`, `others` (methods beside ours).
"""
