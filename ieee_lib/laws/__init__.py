"""Scaling laws and their uncertainty: in N, K and D, joint limits, data efficiency.

Imports no torch.
"""
