"""`make bench-compare`: two builds of tacit beside each other, on one machine in one run."""
