"""Result files as self-contained HTML pages with plots."""

from fr_keras.report.page import demo_page

__all__ = ["demo_page"]
