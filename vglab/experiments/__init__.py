"""Experiments: measure over a grid of settings, and train many networks at once."""

from .many import train_many
from .sweep import sweep

__all__ = ["sweep", "train_many"]
