"""Result files as self-contained HTML pages with plots."""

from fr_bench.report._page import benchmark_page, check_installed, compare_page, demo_page

__all__ = ["benchmark_page", "check_installed", "compare_page", "demo_page"]
