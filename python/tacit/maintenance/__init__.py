"""Maintenance: merging near-duplicates, promotion, retirement, stored clusters and heuristics."""
