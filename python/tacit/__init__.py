"""An experience memory for AI agents."""
