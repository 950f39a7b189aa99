"""Events in, approved orders out, books kept."""
