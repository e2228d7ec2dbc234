"""The paper's statements, their criteria, and verdicts. Imports no torch."""
