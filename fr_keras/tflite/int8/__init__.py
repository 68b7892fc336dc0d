"""What makes int8 files exact: ranges, segments, and training that knows of the rounding."""
