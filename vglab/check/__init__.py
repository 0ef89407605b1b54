"""Verdicts on a learner's answers: ``check.rms_slope(rms_slope)`` says what is right, wrong or missing, and why."""

from .activation import *  # noqa: F403
from .depth import *  # noqa: F403
from .engine import Verdict, prediction
from .initialization import *  # noqa: F403
from .your_model import *  # noqa: F403

__all__ = [
    "Verdict",
    "prediction",
    *(*activation.__all__, *depth.__all__, *initialization.__all__, *your_model.__all__),  # noqa: F405
]
