"""Losses predicted before anything is trained: questions, the sealed log, scores."""
