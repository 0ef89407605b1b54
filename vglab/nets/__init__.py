"""Plain networks and their initialization: nothing here that a learner could not have written."""

from .dense import Residual, mlp
from .initial import SCHEMES, init_

__all__ = ["SCHEMES", "Residual", "init_", "mlp"]
