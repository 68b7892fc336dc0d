"""Makes int8 files more accurate: ranges, segments, and quantization-aware training."""
