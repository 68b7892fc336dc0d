"""Reads, changes and writes .tflite files as bytes."""
