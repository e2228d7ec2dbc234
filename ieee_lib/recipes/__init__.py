"""Recipes: which runs a section of the paper needs, and how its settings are searched."""
