"""Journey one: an episode is logged, closed, learned from and committed."""
