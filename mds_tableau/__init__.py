"""Keeps marts, files and tables live in Tableau Server as Hyper extracts.

The package's own name and version stand here; what it does stands in its modules.
Nothing is imported here, so that the core works without loading Dagster.
"""

__version__ = "0.1.0"
