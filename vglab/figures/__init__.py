"""Tidy tables in, matplotlib axes out: one function per kind of picture, one style."""

from .dark import dark
from .diagnoses import diagnosis_plot
from .lags import time_plot
from .maps import heat_plot, phase_plot, trainability_plot
from .profiles import depth_plot
from .remedies import remedies_plot
from .rows import rows_plot
from .scans import histogram_plot, scan_plot, training_plot
from .spectra import spectrum_plot

__all__ = [
    "dark",
    "depth_plot",
    "diagnosis_plot",
    "heat_plot",
    "histogram_plot",
    "phase_plot",
    "remedies_plot",
    "rows_plot",
    "scan_plot",
    "spectrum_plot",
    "time_plot",
    "trainability_plot",
    "training_plot",
]
