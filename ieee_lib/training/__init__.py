"""Training of a stack: Lightning module, batches, fit, checkpoints, samples, ensemble scores."""
