"""A .tflite file as bytes: read, changed and written again."""
