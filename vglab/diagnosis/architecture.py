"""Code that puts other parts into a model: activations, normalizations, skips, scaled branches, scaled inputs."""

import json
import textwrap

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from .initialization import drawn, each, scheme, weights
from .surgery import NORMS, RELUS, Remedy, activation, blocks, listed


def swap(plan):
    if any(isinstance(layer.act, RELUS) for layer in plan.hidden):
        return []
    relu = 'nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")'
    gelu = scheme(nn.GELU())[1]
    return [
        *_swapped(plan, "nn.ReLU()", relu, "ReLU instead, He initialization"),
        *_swapped(plan, "nn.GELU()", gelu, "GELU instead, weights to match"),
    ]


def leaky(plan):
    if plan.state != "dead" or not any(type(layer.act) in (nn.ReLU, nn.ReLU6) for layer in plan.hidden):
        return []
    return _swapped(plan, "nn.LeakyReLU(0.1)", "", "LeakyReLU instead")


def _swapped(plan, new, line, name):
    """Another activation in the place of each activation module, and new weights before it if `line` is given."""
    some = [layer for layer in plan.hidden if layer.act_name]
    acts = {id(layer.act) for layer in some}
    places = [place for place, module in plan.names.items() if id(module) in acts and place]
    if not places:
        return []
    code = _at_each(places, f"setattr(parent, child, {new})")
    return [Remedy(name, code + ("\n" + each(some, line, zero=True) if line else ""))]


def _at_each(places, line):
    return f"""for name in {listed(places)}:
    parent, _, child = name.rpartition(".")
    parent = model.get_submodule(parent)
    {line}"""


def norm(plan):
    some = [layer for layer in plan.layers if layer.act is not None and not layer.norm and layer.name]
    names = {
        "LayerNorm before each activation": [_layer_norm(layer) for layer in some],
        "BatchNorm before each activation": [_batch_norm(layer) for layer in some],
    }
    return [Remedy(name, _followed(plan, some, norms)) for name, norms in names.items() if some]


def _layer_norm(layer):
    """Over the features of each example; of images, over channels and places."""
    return f"nn.GroupNorm(1, {layer.width})" if isinstance(layer.module, _ConvNd) else f"nn.LayerNorm({layer.width})"


def _batch_norm(layer):
    axes = len(layer.module.kernel_size) if isinstance(layer.module, _ConvNd) else 1
    return f"nn.BatchNorm{axes}d({layer.width})"


def _followed(plan, some, norms):
    """Code that puts one of `norms` right behind each of `some` layers."""
    code = []
    for norm in dict.fromkeys(norms):
        names = [layer.name for layer, own in zip(some, norms, strict=True) if own == norm]
        new = f"nn.Sequential(parent.get_submodule(child), {norm}{plan.placed})"
        code.append(_at_each(names, f"setattr(parent, child, {new})"))
    return "\n".join(code)


def unnormalize(plan):
    some = [layer for layer in plan.hidden if layer.norm]
    if not some:
        return []
    gone = _at_each([layer.norm for layer in some], "setattr(parent, child, nn.Identity())")
    return [
        Remedy(f"no normalization, {' and '.join(sorted({scheme(layer.act)[0] for layer in some}))} initialization",
               gone + "\n" + drawn(plan, some, [scheme(layer.act)[1] for layer in some]))
    ]  # fmt: skip


def skips(plan):
    found = {name: _shape_keeping(body) for name, body in plan.names.items() if type(body) is nn.Sequential}
    found = {name: groups for name, groups in found.items() if len(groups) > 1}
    if not found:
        return []
    scale = sum(map(len, found.values())) ** -0.5
    code = ["from vglab.nets import Residual  # its forward(h) is h + scale * branch(h)"]
    for name, groups in found.items():
        listing = textwrap.fill(
            f"[{', '.join(json.dumps(list(group)) for group in groups)}]", 90, subsequent_indent="    "
        )
        code.append(f"""body = model.get_submodule({json.dumps(name)})
for group in {listing}:
    branch = nn.Sequential(*[body.get_submodule(child) for child in group])
    setattr(body, group[0], Residual(branch, scale={scale:.3g}))
    for child in group[1:]:
        setattr(body, child, nn.Identity())""")
    return [Remedy(f"skips around each layer, branches scaled by {scale:.2g}", "\n".join(code))]


def _shape_keeping(body):
    """The runs of children of a Sequential that are [layer as wide as its input, perhaps a norm, activation]."""
    groups, run = [], []
    for name, child in body.named_children():
        inner = list(child) if type(child) is nn.Sequential else None
        if inner and _keeps_shape(inner[0]) and all(isinstance(m, (*NORMS, nn.Dropout)) for m in inner[1:-1]):
            groups += [(name,)] if activation(inner[-1]) is not None else []
            run = []
        elif isinstance(child, (nn.Linear, _ConvNd)):
            run = [name] if _keeps_shape(child) else []
        elif run and isinstance(child, (*NORMS, nn.Dropout)):
            run.append(name)
        else:
            groups += [(*run, name)] if run and activation(child) is not None else []
            run = []
    return groups


def _keeps_shape(layer):
    if isinstance(layer, nn.Linear):
        return layer.in_features == layer.out_features
    if not isinstance(layer, _ConvNd) or layer.transposed or layer.in_channels != layer.out_channels:
        return False
    if set(layer.stride) != {1} or layer.padding == "same":
        return set(layer.stride) == {1}
    sides = zip(layer.padding, layer.dilation, layer.kernel_size, strict=True)
    return layer.padding != "valid" and all(2 * pad == step * (size - 1) for pad, step, size in sides)


def branches(plan):
    found = blocks(plan.model) if plan.state == "exploding" else {}
    ends = [end for name in found for end in found[name]]
    if len(ends) < 2:
        return []
    shrunk = f"""with torch.no_grad():
    for name in {textwrap.indent(listed(ends), "    ").strip()}:  # the last layer of each branch
        for p in model.get_submodule(name).parameters():
            p.mul_({len(ends)} ** -0.5)"""
    scale = f"branches scaled by 1/sqrt({len(ends)})"
    return [
        Remedy(scale, shrunk),
        Remedy("branches that start at zero", shrunk.replace(f"mul_({len(ends)} ** -0.5)", "zero_()")),
        *_normed_branches(plan, found),
    ]


def _normed_branches(plan, found):
    """A normalization in front of the first layer of each branch that has none."""
    starts = []
    for name in found:
        inside = [layer for layer in plan.layers if layer.name.startswith(f"{name}." if name else "")]
        modules = plan.names[name].modules()
        if inside and isinstance(inside[0].module, nn.Linear) and not any(isinstance(m, NORMS) for m in modules):
            starts.append(inside[0])
    code = []
    for width in dict.fromkeys(layer.module.in_features for layer in starts):
        names = [layer.name for layer in starts if layer.module.in_features == width]
        new = f"nn.Sequential(nn.LayerNorm({width}){plan.placed}, parent.get_submodule(child))"
        code.append(_at_each(names, f"setattr(parent, child, {new})"))
    return [Remedy("LayerNorm at the start of each branch", "\n".join(code))] if code else []


def eps(plan):
    for key in ("eps", "variance_epsilon"):
        large = [name for name, module in plan.names.items() if _number(getattr(module, key, None)) > 1e-4]
        if large:
            code = f"for name in {listed(large)}:\n    model.get_submodule(name).{key} = 1e-5"
            return [Remedy("eps of 1e-5 in each normalization", code)]
    return []


def _number(value):
    return value if isinstance(value, float) else 0.0


def inputs(plan):
    code = """mean, std = inputs.mean(0), inputs.std(0)  # over your training data, not only this batch
std[std == 0] = 1
model.register_forward_pre_hook(lambda module, args: ((args[0] - mean) / std, *args[1:]))"""
    new = weights(plan)[:1]  # inputs set right may still meet weights that are not
    both = [Remedy(f"standardized inputs, {one.name}", f"{code}\n{one.code}") for one in new]
    return [Remedy("standardized inputs", code), *both] if plan.unscaled else []


def unscaled(inputs):
    """Whether `inputs` is one tensor of real numbers far from mean 0 and standard deviation 1; or unknown."""
    if not isinstance(inputs, torch.Tensor):
        return inputs is None
    if not inputs.is_floating_point() or len(inputs) < 2:
        return False
    mean, std = inputs.double().mean().item(), inputs.double().std().item()
    return abs(mean) > 1 or not 1 / 3 < std < 3
