"""Recipes: how the constants of an int8 file are computed from the numbers in an archive."""
