"""The words of the business: instruments, events, orders, fills, units. No I/O."""
