"""Recipes: how the constants of an int8 file follow from what an archive holds."""
