"""What a wide random network does to signals and gradients, computed from the activation alone.

Mean-field theory: in a wide layer with independent weights W ~ N(0, sigma_w**2 / fan_in) and biases b ~ N(0,
sigma_b**2) each preactivation is Gaussian, z ~ N(0, q). Poole et al. (2016), arXiv:1606.05340, give the map of q
from layer to layer; Schoenholz et al. (2017), arXiv:1611.01232, the factor on the gradient. These are statements
about infinite width at initialization: they say nothing about a network that has been trained.

Activations are names, torch modules or functions as in `vglab.mlp`. Every q and sigma may be a number or
an array; the profiles, one network each, take numbers.
"""

from .correlations import c_star, correlation_map, correlation_slope, mean_product, slope_product
from .dying import born_dead_probability
from .gaussian import mean, mean_square, mean_square_slope, rms_slope
from .normalization import batch_factor
from .phases import TheoryWarning, bistable, critical_line, depth_scales, phase_diagram
from .precision import half_precision_shares
from .recurrent import chrono_bias, gate_bias, gate_half_life, recurrent_decay, recurrent_factor
from .residual import fixup_scale, residual_gradient, residual_variance
from .signals import TORCH_DEFAULT, chi, gradient_profile, layer_factor, q_map, q_star, variance_profile
from .spectra import (
    largest_singular_value,
    singular_value_density,
    singular_value_quantiles,
    squared_singular_values,
)

__all__ = [
    "TORCH_DEFAULT",
    "TheoryWarning",
    "mean",
    "mean_square",
    "mean_square_slope",
    "rms_slope",
    "q_map",
    "q_star",
    "chi",
    "layer_factor",
    "batch_factor",
    "variance_profile",
    "gradient_profile",
    "mean_product",
    "slope_product",
    "correlation_map",
    "c_star",
    "correlation_slope",
    "depth_scales",
    "bistable",
    "critical_line",
    "phase_diagram",
    "largest_singular_value",
    "singular_value_quantiles",
    "singular_value_density",
    "squared_singular_values",
    "residual_variance",
    "residual_gradient",
    "fixup_scale",
    "recurrent_factor",
    "recurrent_decay",
    "gate_half_life",
    "gate_bias",
    "chrono_bias",
    "born_dead_probability",
    "half_precision_shares",
]
