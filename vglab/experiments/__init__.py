"""Experiments: measure over a grid of settings, and train many networks at once."""

from .sweep import sweep

__all__ = ["sweep"]
