"""Training: the stacked decoder, its optimizer, the run store and the executors.

`store` and `executors` import without torch; the rest is loaded when something is trained.
"""
