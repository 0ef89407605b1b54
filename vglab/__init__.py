"""vglab: measure, predict and repair the gradients of any torch model.

Four ideas carry the package: a torch model, a probe, a table, a verdict. Import it as ``import vglab as vg``.
"""

from importlib import import_module

from .nets import convnet, init_, mlp, recurrent, transformer
from .probe import gradient_profile, probe

__version__ = "0.1.0"

_FIGURES = ("depth_plot", "diagnosis_plot", "heat_plot", "histogram_plot", "phase_plot", "remedies_plot", "scan_plot")
_FIGURES += ("rows_plot", "spectrum_plot", "time_plot", "trainability_plot", "training_plot")
_EXPERIMENTS = ("sweep", "train_many")
_LAZY = {"check", "experiments", "figures", "progress", "tasks", "theory", "widgets"}

__all__ = [
    "__version__",
    *_FIGURES,
    "check",
    "convnet",
    "diagnose",
    "gradient_profile",
    "init_",
    "mlp",
    "probe",
    "progress",
    "recurrent",
    "sweep",
    "tasks",
    "theory",
    "train_many",
    "transformer",
    "widgets",
]


def __getattr__(name):
    # Figures, data and widgets pull in matplotlib, scikit-learn and ipywidgets: loaded on first use, so that
    # `import vglab` costs little more than torch and pandas, which a working engineer has loaded anyway.
    if name in _LAZY:
        return import_module(f".{name}", __name__)
    if name in _EXPERIMENTS:
        return getattr(import_module(".experiments", __name__), name)
    if name == "diagnose":
        return import_module(".diagnosis", __name__).diagnose
    if name in _FIGURES:
        return getattr(import_module(".figures", __name__), name)
    raise AttributeError(f"module 'vglab' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_LAZY, *_FIGURES, *_EXPERIMENTS, "diagnose"})
