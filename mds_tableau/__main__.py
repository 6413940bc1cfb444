"""`python -m mds_tableau` is the command line, where its script is not on the path."""

from mds_tableau.cli import main

main(prog_name="mds-tableau")
