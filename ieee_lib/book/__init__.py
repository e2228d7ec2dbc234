"""The book: which notebook is which, how it is run, planned, and built as a site."""
