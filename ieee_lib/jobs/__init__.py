"""Jobs and who runs them: this process, local workers, or a Ray cluster."""
