"""Journey two: a task or a situation is asked about and gets a ranked, explained answer."""
