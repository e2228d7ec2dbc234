"""Multiple choice: the probe on held-out text, and the adapter to lm-eval (Sec. 7.1)."""
