"""Result files as self-contained HTML pages with plots, and the texts beside a chosen file."""

from fr_bench.report._cards import android_example, model_card
from fr_bench.report._page import (
    benchmark_page,
    check_installed,
    compare_page,
    compress_page,
    demo_page,
    grid_page,
)

__all__ = [
    "android_example",
    "benchmark_page",
    "check_installed",
    "compare_page",
    "compress_page",
    "demo_page",
    "grid_page",
    "model_card",
]
