"""Figures: style and saving, marks on axes, one module a section. Imports no torch."""
