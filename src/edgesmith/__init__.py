"""edgesmith: from crypto tick data to edges that survive their costs."""

__version__ = "0.1.0"
