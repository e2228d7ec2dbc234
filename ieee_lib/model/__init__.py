"""The stacked decoder: K models as one, their head, optimizers, memory; Llama import, export."""
