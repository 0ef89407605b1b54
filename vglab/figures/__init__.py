"""Tidy tables in, matplotlib axes out: one function per kind of picture, one style."""

from .profiles import depth_plot
from .scans import histogram_plot, scan_plot, training_plot

__all__ = ["depth_plot", "histogram_plot", "scan_plot", "training_plot"]
