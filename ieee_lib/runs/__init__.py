"""Records of runs: the store, the archive, provenance, and tidy frames. Imports no torch."""
