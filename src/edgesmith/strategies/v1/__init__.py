"""StrategyV1: regime -> mode -> signals -> combination -> gate -> target position, all compiled.

Reading order: `config` and `presets` (what can be set), `selection` (which features), `layout` (where numbers lie), `modes`,
`signals`, `combiner`, `position` (the steps of a decision), `decision` (the steps put together), `strategy` (the Python face).
"""
