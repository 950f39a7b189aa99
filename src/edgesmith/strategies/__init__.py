"""How we decide: the strategies that ship, and how a user's own is found."""
