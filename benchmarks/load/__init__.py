"""`make load`: a memory of a million episodes, used while it is written to."""
