"""Is the method true: our verdicts and those of other methods on worlds whose truth is known."""
