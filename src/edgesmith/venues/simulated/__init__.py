"""The simulated venue: matching, queue, latency and fees; compiled."""
