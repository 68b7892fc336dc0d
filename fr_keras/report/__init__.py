"""Result files as self-contained HTML pages with plots."""

from fr_keras.report.page import check_installed, compare_page, demo_page

__all__ = ["check_installed", "compare_page", "demo_page"]
