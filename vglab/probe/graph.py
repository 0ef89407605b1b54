"""Read autograd's graph from an output back to the start of a step: the calls that no module made."""

from typing import NamedTuple

from . import slopes

# Nodes that only hand a weight on in another shape or type.
_CARRIERS = {
    "T",
    "Transpose",
    "Permute",
    "View",
    "Expand",
    "Unsqueeze",
    "Squeeze",
    "ToCopy",
    "Clone",
    "Alias",
    "Reshape",
    "Split",
    "SplitWithSizes",
    "Slice",
    "Select",
    "Unbind",
}
_PRODUCTS = {
    "Mm": "matmul",
    "Bmm": "matmul",
    "Addmm": "linear",
    "Baddbmm": "matmul",
    "Mv": "matmul",
    "Linear": "linear",
}
_PRODUCTS |= {"Convolution": "conv", "Softmax": "softmax", "SafeSoftmax": "softmax", "LogSoftmax": "log_softmax"}
FUSED_RNN = {"MkldnnRnnLayer", "CudnnRnn", "MiopenRnn"}
_CLOSED = FUSED_RNN | {"CompiledFunction", "CheckpointFunction"}
_NOTHING, _WEIGHT = (False, "", -1), (True, "", "")


class Found(NamedTuple):
    """A call without a module: autograd's node, its number, a readable name, and what kind of call it is."""

    node: object
    number: int
    layer: str
    kind: str

    @property
    def activation(self):
        """The name in `slopes.CALLS`, or None."""
        name = node_name(self.node)
        return name if name in slopes.CALLS else None


def nodes_since(tensors, first):
    """The nodes behind `tensors` made at sequence number `first` or later, in the order of their making."""
    stack = [t.grad_fn for t in tensors if t.grad_fn is not None]
    seen = set(stack)
    found = []
    while stack:
        node = stack.pop()
        number = node._sequence_nr()
        if number < first:
            continue
        if type(node).__name__ == "AccumulateGrad":
            continue
        found.append((number, node))
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                stack.append(child)
    found.sort(key=lambda pair: pair[0])
    return found


def calls(tensors, first, *, owners, rows, inside, recurrent):
    """The `Found` calls behind `tensors`, and a set of (kind of node, layer) for what cannot be looked into.

    `owners` maps id(parameter) to (module name, parameter name), `rows` the sequence number of a node to the layer
    whose output it made, `inside` the number of a leaf module's output to that of its latest input: what it made in
    between has a row already. `recurrent` maps the names of torch's recurrent modules to their class.
    """
    nodes, found, closed = nodes_since(tensors, first), [], set()
    within = _within(nodes, dict(inside))
    origins, used = {}, set()  # node -> (whether it is a weight, the last layer behind it, number or weight's name)
    for number, node in nodes:
        name = node_name(node)
        behind = [_origin(child, owners, origins) for child, _ in node.next_functions if child is not None]
        weights = [origin for origin in behind if origin[0]]
        if weights and len(weights) == len(behind) and name in _CARRIERS:
            origins[node] = weights[0]
            continue
        _, layer, _ = weights[0] if weights else max(behind, key=lambda origin: origin[2], default=_NOTHING)
        origins[node] = (False, rows.get(number, layer), number)
        if name in _CLOSED:
            closed.add((name, rows.get(number, layer)))
        step = next((weight for weight in weights if weight[1] in recurrent and "weight_hh" in weight[2]), None)
        if number in rows:
            continue
        if step:
            state = _state(node, origins)
            if step in used and state is not None and origins[state][2] not in rows:
                part = f"{step[1]}.{step[2].removeprefix('weight_hh_')}".lstrip(".")
                found.append(Found(state, origins[state][2], part, recurrent[step[1]]))
            used.add(step)
        kind = None if node in within else _kind(name, weights, behind)
        if kind:
            found.append(Found(node, number, f"{layer}.{kind}".lstrip("."), kind))
    return found, closed


def _state(node, origins):
    """The node that made the state which `node` multiplies with a recurrent weight, None for the first state."""
    while node is not None:
        node = next((child for child, _ in node.next_functions if not origins.get(child, _WEIGHT)[0]), None)
        if (
            node is None or node_name(node) not in _CARRIERS
        ):  # in a packed sequence a state loses the sequences that end
            return node
    return None


def _within(nodes, inside):
    """The nodes that leaf modules made on the way from their inputs to their outputs."""
    within = {}  # node -> the number of the latest input of the module that made it
    for number, node in reversed(nodes):
        before = inside.get(number, within.get(node))
        if before is None:
            continue
        for child, _ in node.next_functions:
            if child is not None and child._sequence_nr() > before and child._sequence_nr() not in inside:
                within[child] = before
    return within


def node_name(node):
    """The kind of a node: its class without the number of the version."""
    return type(node).__name__.rstrip("0123456789").removesuffix("Backward")


def _origin(node, owners, origins):
    if node in origins:
        return origins[node]
    if type(node).__name__ == "AccumulateGrad":
        owner = owners.get(id(node.variable))
        if owner:
            return (True, *owner)
    return _NOTHING


def _kind(name, weights, behind):
    """The field's word for a call, or None for one that is not worth a row."""
    if name in slopes.CALLS:
        words = {"LeakyRelu": "leaky_relu", "LogSigmoid": "log_sigmoid"}
        return words.get(name, name.lower())
    if name in _PRODUCTS:
        return "linear" if weights and _PRODUCTS[name] == "matmul" else _PRODUCTS[name]
    if name.startswith("ScaledDotProduct"):
        return "attention"
    return "add" if name == "Add" and len(behind) - len(weights) == 2 else None
