"""The probe: watch the signals forward and the gradients back in any torch model, and change neither."""

from .profile import gradient_profile
from .slopes import DEAD, SATURATED
from .watch import probe

__all__ = ["DEAD", "SATURATED", "gradient_profile", "probe"]
