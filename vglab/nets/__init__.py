"""Plain networks and their initialization: nothing here that a learner could not have written."""

from .convolutional import convnet
from .dense import Residual, mlp
from .initial import SCHEMES, init_

__all__ = ["SCHEMES", "Residual", "convnet", "init_", "mlp"]
