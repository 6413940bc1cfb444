"""Comparisons that anybody can repeat with one make target; nothing of the package imports them."""
