"""Tidy tables in, matplotlib axes out: one function per kind of picture, one style."""

from .diagnoses import diagnosis_plot
from .profiles import depth_plot
from .remedies import remedies_plot
from .scans import histogram_plot, scan_plot, training_plot

__all__ = ["depth_plot", "diagnosis_plot", "histogram_plot", "remedies_plot", "scan_plot", "training_plot"]
