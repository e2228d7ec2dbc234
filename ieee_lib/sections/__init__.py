"""One module a notebook: the runs it needs, what it gathers from them, its items and claims.

Every module has the same four names (those beyond the paper have no claims). `specs(study)` lists
runs for the plan, `gather(study)` trains what is missing and fits, `ITEMS` maps file names to
functions that draw from what was gathered, `claims(found)` judges. `ieee_lib.book.chapters` strings
them together.
"""
