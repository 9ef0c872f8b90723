"""Hooks of coding agents: they learn from sessions, and advise at the prompt and after a failure.

Nothing here is imported by the library: `tacit setup` enters the hooks, the agent's program runs them.
"""
