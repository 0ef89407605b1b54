"""How the calls of a model hang together, read from autograd's graph: what the probe's table does not say."""

from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn

from ..probe import graph
from ..probe.anatomy import Anatomy
from ..probe.autograd import next_number
from ..probe.readings import tensors_in
from .feed import loss_of

WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)
_HANDED_ON = {"View", "UnsafeView", "Clone", "ToCopy", "Alias", "Mul", "NativeDropout", "Transpose", "Permute"}
_DIVIDED = {"Rsqrt", "Sqrt", "Std"}  # a norm written out by hand has one of them
_LEAF = 2**63  # sequence numbers of parameters are larger


@dataclass
class Wiring:
    """What one pass through a model shows."""

    modules: set  # all names of modules
    recurrent: set  # those of torch's recurrent modules
    sizes: dict  # layer -> number of entries of its output
    weighted: set  # names of modules that multiply by a matrix, whatever their class is called
    holding: set  # those with parameters in them
    reused: set  # those with a parameter that is used more than once
    sums: set  # names of the residual additions
    norms: int  # normalizations on the way
    reentrant: bool  # whether a checkpoint runs its part again in a backward pass of its own

    def module(self, layer):
        """The module behind a row of the probe, as `named_modules` has it: ``fc1`` for ``fc1.relu`` and ``fc1[0]``.

        The layers of a recurrent module keep their names: ``rnn.l0`` tells which of several it is.
        """
        name = layer.partition("[")[0].partition(".parametrizations.")[0]
        while name and name not in self.modules and name.rpartition(".")[0] not in self.recurrent:
            name = name.rpartition(".")[0]
        return name or layer


def wired(model, batch, loss_fn):
    """The `Wiring` of `model`, a copy."""
    made, sizes = {}, {}
    handles = [m.register_forward_hook(_noted(n, m, made, sizes)) for n, m in model.named_modules()]
    try:
        with torch.enable_grad():
            first = next_number()
            loss = loss_of(model, batch, loss_fn)
    finally:
        for handle in handles:
            handle.remove()
    nodes = [node for _, node in graph.nodes_since([loss], first)]
    sums = {node._sequence_nr() for node in nodes if _is_residual(node, first)}
    uses = _uses(nodes)
    found, _ = graph.calls([loss], first, owners=Anatomy(model).owners, rows=made, inside={}, recurrent={})
    added = {layer for number, layer in made.items() if number in sums}
    return Wiring(
        modules={name for name, _ in model.named_modules()},
        recurrent={name for name, module in model.named_modules() if isinstance(module, nn.RNNBase)},
        sizes=sizes,
        weighted={name or "(model)" for name, module in model.named_modules() if isinstance(module, WEIGHTED)},
        holding={name or "(model)" for name, module in model.named_modules() if any(True for _ in module.parameters())},
        reused={name or "(model)" for name, m in model.named_modules() if any(uses[id(p)] > 1 for p in m.parameters())},
        sums=added | {call.layer for call in found if call.number in sums},
        norms=sum(_is_norm(node) for node in nodes),
        reentrant=any(graph.node_name(node) == "CheckpointFunction" for node in nodes),
    )


def _noted(name, module, made, sizes):
    """A hook that files the size of each output, and who made it: others hand on what they got or a child returned."""
    leaf, inplace = not any(True for _ in module.children()), getattr(module, "inplace", False)

    def hook(_, args, output):
        tensors = list(tensors_in(output))
        for where, h in tensors:
            layer = (name or "(model)") + (where if len(tensors) > 1 else "")
            sizes[layer] = h.numel()
            number = -1 if h.grad_fn is None else h.grad_fn._sequence_nr()
            if number not in made or (leaf and (inplace or not any(h is t for t in args))):
                made[number] = layer

    return hook


def _is_residual(node, first):
    """Whether a node adds a branch to what it branched off from."""
    if graph.node_name(node) != "Add":
        return False
    parents = [
        child for child, _ in node.next_functions if child is not None and graph.node_name(child) != "AccumulateGrad"
    ]
    if len(parents) != 2:
        return False
    straight, branch = sorted(parents, key=lambda parent: parent._sequence_nr())
    return _reaches(branch, _carried(straight), first)


def _carried(node):
    """The node, and those behind it that only hand its numbers on, perhaps scaled."""
    chain = [node]
    while len(chain) < 4 and graph.node_name(chain[-1]) in _HANDED_ON:
        data = [c for c, _ in chain[-1].next_functions if c is not None and graph.node_name(c) != "AccumulateGrad"]
        if len(data) != 1:
            break
        chain += data
    return set(chain)


def _reaches(node, goals, first):
    low = max(first, min(goal._sequence_nr() for goal in goals))
    stack, seen = [node], {node}
    while stack:
        here = stack.pop()
        if here in goals:
            return here is not node or len(goals) > 1
        for child, _ in here.next_functions:
            if child is not None and child not in seen and low <= child._sequence_nr() < _LEAF:
                seen.add(child)
                stack.append(child)
    return False


def _uses(nodes):
    """How often each parameter, by its id, meets what depends on the input; casts and transposes are no use of it."""
    uses, behind = Counter(), {}  # node that depends on parameters alone -> their ids
    for node in nodes:
        found = [  # None for what depends on the input
            [id(child.variable)] if type(child).__name__ == "AccumulateGrad" else behind.get(child)
            for child, _ in node.next_functions
        ]
        if None in found:
            uses.update(name for names in found if names for name in names)
        else:
            behind[node] = [name for names in found for name in names]
    return uses


def _is_norm(node):
    name = graph.node_name(node)
    return name in _DIVIDED or (name.endswith("Norm") and name.startswith(("Native", "Cudnn", "Miopen", "Fused")))
