"""Plain networks and their initialization: nothing here that a learner could not have written."""

from .convolutional import convnet
from .dense import Residual, mlp
from .initial import SCHEMES, init_
from .recurrent import Recurrent, recurrent
from .transformer import deepnorm, transformer

__all__ = ["SCHEMES", "Recurrent", "Residual", "convnet", "deepnorm", "init_", "mlp", "recurrent", "transformer"]
