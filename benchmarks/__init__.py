"""Speed and memory of edgesmith beside its peers: `python -m benchmarks --help`."""
