"""The commands that look at what there is, as they are typed."""
