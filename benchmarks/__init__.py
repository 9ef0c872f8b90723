"""What tacit costs, beside the yardsticks that say what it may cost."""
