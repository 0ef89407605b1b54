"""Experiments: measure over a grid of settings, train one network step by step or many at once, and meet patients."""

from .many import train_many
from .patients import DIAGNOSES, patient, patients
from .sweep import sweep
from .trainer import Trainer

__all__ = ["DIAGNOSES", "Trainer", "patient", "patients", "sweep", "train_many"]
