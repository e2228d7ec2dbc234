"""Analysis: laws, claims, tables and figures from tidy frames. No torch, no lightning."""
