"""How messages say which packages to install, in one form for all of them.

What is missing is found where it is needed.
"""


def install(*extras: str) -> str:
    """Return the sentence that says how to install the project, with some of its extras.

    The command never has the project's name: it is on no index, and pip would fetch whatever
    somebody else has put there under it.

    >>> install("excel")
    'Run in the folder of the project: pip install -c constraints.txt -e ".[excel]"'
    """
    # in double quotes, which the command line of Windows takes away too
    what = f'".[{",".join(extras)}]"' if extras else "."
    return f"Run in the folder of the project: pip install -c constraints.txt -e {what}"
