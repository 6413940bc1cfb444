"""Kills runs as a power cut does, and looks at what is left through doors of others.

`python -m tests.chaos` (`make chaos`) does it at random moments, `tests/e2e/test_chaos.py` at
chosen ones.
"""
