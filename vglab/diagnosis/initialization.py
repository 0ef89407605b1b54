"""Code that draws weights anew so that each layer passes the gradient on at its size, whatever activation follows."""

import json
import textwrap

from torch import nn

from .surgery import RELUS, Remedy, listed, response


def weights(plan):
    if not plan.hidden:
        return []
    schemes = [scheme(layer.act) for layer in plan.hidden]
    names = " and ".join(sorted({scheme[0] for scheme in schemes}))
    matched, orthogonal = (drawn(plan, plan.hidden, [scheme[i] for scheme in schemes]) for i in (1, 2))
    return [
        Remedy(f"{names} initialization", matched),
        Remedy("orthogonal initialization", orthogonal),
        Remedy("layer-sequential unit variance (LSUV)", orthogonal + _unit_variance(plan)),
    ]


def scheme(act):
    """The name of the usual initialization before `act`, the line that draws it, and the line for an orthogonal one.

    Where torch knows no gain, the one that keeps the variance of N(0, 1) is measured: 1 / sqrt(E phi(z)^2), without
    the mean of phi where that is taken out by `_centred`.
    """
    if isinstance(act, RELUS):
        slope = {nn.LeakyReLU: "negative_slope", nn.PReLU: "init"}.get(type(act))
        slope = float(act.weight.detach().mean()) if slope == "init" else getattr(act, slope or "", 0.0)
        which = f'a={slope:.3g}, nonlinearity="leaky_relu"' if slope else 'nonlinearity="relu"'
        gain = f'"leaky_relu", {slope:.3g}' if slope else '"relu"'
        return "He", f"nn.init.kaiming_normal_(layer.weight, {which})", _orthogonal(f"nn.init.calculate_gain({gain})")
    if isinstance(act, nn.SELU):
        return "LeCun", 'nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")', _orthogonal("1.0")
    if isinstance(act, nn.Tanh):
        gain = 'nn.init.calculate_gain("tanh")'
        return "Xavier", f"nn.init.xavier_normal_(layer.weight, gain={gain})", _orthogonal("1.0")  # 5/3 is in chaos
    mean, square = response(act) or (0.0, 1.0)
    gain = f"{(square - _offset(act) * mean) ** -0.5:.3g}"
    name = f"Xavier (gain {gain}{', centred' if _offset(act) else ''})"
    return name, f"nn.init.xavier_normal_(layer.weight, gain={gain})", _orthogonal(gain)


def _orthogonal(gain):
    return f"nn.init.orthogonal_(layer.weight, gain={gain})"


def _offset(act):
    """The mean output of an activation such as the sigmoid, whose output is mostly a constant; else 0."""
    mean, square = response(act) or (0.0, 1.0)
    return mean if mean**2 > 0.6 * square else 0.0


def drawn(plan, some, lines):
    """Code that draws the weights of `some` layers anew, by one line for each, with biases at zero."""
    code = []
    for line in dict.fromkeys(lines):
        code.append(each([layer for layer, own in zip(some, lines, strict=True) if own == line], line, zero=True))
    return "\n".join(code) + "".join(_centred(layer) for layer in some if layer.before is not None)


def each(some, line, *, zero=False):
    """Code that runs `line` for each of `some` layers, and sets their biases to zero."""
    with_bias = [layer.module.bias is not None for layer in some]
    lines = ["layer = model.get_submodule(name)", *filter(None, [line])]
    if zero and any(with_bias):
        lines.append("if layer.bias is not None:" * (not all(with_bias)))
        lines.append("    " * (not all(with_bias)) + "nn.init.zeros_(layer.bias)")
    body = textwrap.indent("\n".join(filter(None, lines)), "    ")
    return f"for name in {listed([layer.name for layer in some])}:\n{body}"


def _centred(layer):
    mean = _offset(layer.before)
    if not mean or layer.module.bias is None:
        return ""
    name, act = json.dumps(layer.name), type(layer.before).__name__
    return (
        f"\nlayer = model.get_submodule({name})  # its input, from a {act}, is {mean:.3g} on average: cancel that\n"
        f"layer.bias.data = -{mean:.3g} * layer.weight.data.flatten(1).sum(1)"
    )


def _unit_variance(plan):
    """Mishkin and Matas (2016), in one pass: each layer is scaled before the next one sees its output."""
    return f"""

def unit_variance(layer, args, z):
    layer.weight.data /= z.std()
    if layer.bias is not None:
        layer.bias.data /= z.std()
    return z / z.std()

names = {listed([layer.name for layer in plan.hidden])}
hooks = [model.get_submodule(name).register_forward_hook(unit_variance) for name in names]
with torch.no_grad():
    {plan.call}
for hook in hooks:
    hook.remove()"""


def biases(plan):
    some = [layer for layer in plan.hidden if layer.module.bias is not None]
    if not some or (plan.state != "dead" and plan.cause != "saturating activation"):
        return []
    zero, positive = (each(some, f"nn.init.constant_(layer.bias, {value})") for value in ("0.0", "0.1"))
    relus = any(isinstance(layer.act, RELUS) for layer in some)
    return [Remedy("zero biases", zero)] + [Remedy("biases of 0.1", positive)] * relus
