"""Pages on edges: one card for each, and the funnel from everything looked at to what may be traded."""
