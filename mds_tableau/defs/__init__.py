"""Everything that knows Dagster: assets, checks, resources, schedules and sensors.

Each module turns one part of the core into Dagster's terms; the work itself is done in the core,
which never imports Dagster. Assembling the parts belongs to `mds_tableau.definitions`.
"""
