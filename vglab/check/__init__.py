"""Verdicts on a learner's answers: ``check.rms_slope(rms_slope)`` says what is right, wrong or missing, and why."""

from .activation import *  # noqa: F403
from .chaos import *  # noqa: F403
from .clinic import *  # noqa: F403
from .convergence import *  # noqa: F403
from .depth import *  # noqa: F403
from .engine import Verdict, prediction
from .gates import *  # noqa: F403
from .initialization import *  # noqa: F403
from .memory import *  # noqa: F403
from .modern import *  # noqa: F403
from .normalization import *  # noqa: F403
from .precision import *  # noqa: F403
from .rectifiers import *  # noqa: F403
from .scaling import *  # noqa: F403
from .skips import *  # noqa: F403
from .your_model import *  # noqa: F403

__all__ = [
    "Verdict",
    "prediction",
    *activation.__all__,  # noqa: F405
    *chaos.__all__,  # noqa: F405
    *clinic.__all__,  # noqa: F405
    *convergence.__all__,  # noqa: F405
    *depth.__all__,  # noqa: F405
    *gates.__all__,  # noqa: F405
    *initialization.__all__,  # noqa: F405
    *memory.__all__,  # noqa: F405
    *modern.__all__,  # noqa: F405
    *normalization.__all__,  # noqa: F405
    *precision.__all__,  # noqa: F405
    *rectifiers.__all__,  # noqa: F405
    *scaling.__all__,  # noqa: F405
    *skips.__all__,  # noqa: F405
    *your_model.__all__,  # noqa: F405
]
