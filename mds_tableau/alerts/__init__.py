"""Tells people what they have to know: what failed, what will be late, and when it is over.

`judging` decides what is late, `ledger` remembers what is wrong and who was told, `messages` words
it, `services` sends it. Nothing here knows Dagster; what runs said is given by `defs.alerts`.
"""
