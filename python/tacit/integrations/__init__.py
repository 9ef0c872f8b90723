"""Agents of other frameworks that record themselves and are advised: a module for each, with an extra of its own.

`langchain`, `pydantic_ai` and `openai_agents` give an agent its memory; `otel` reads and writes OpenTelemetry;
`prometheus` counts. A module can be imported without its framework; using it then raises `ValidationError` that names
the extra.
"""
