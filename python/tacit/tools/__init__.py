"""Tools that a memory generates from proven patterns: their parameters, schemas, plans and runs."""
