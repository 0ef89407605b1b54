"""Experiments: measure over a grid of settings, train many networks at once, and meet patients."""

from .many import train_many
from .patients import DIAGNOSES, patient, patients
from .sweep import sweep

__all__ = ["DIAGNOSES", "patient", "patients", "sweep", "train_many"]
