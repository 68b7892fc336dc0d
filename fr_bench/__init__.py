"""The experiment harness: data, training recipes, methods in comparison, targets, reports.

It uses `fr_keras` as anybody would; nothing in `fr_keras` imports it.
"""
