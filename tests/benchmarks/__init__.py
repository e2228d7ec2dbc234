"""Measurements for developers, whose tables README shows; `ieee_lib.benchmarks` has the users'."""
