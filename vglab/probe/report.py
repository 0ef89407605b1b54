"""A probe's tables in words, and what it could not see."""

import numpy as np

from .graph import FUSED_RNN


class Text(str):
    """Words that show themselves as they are, in a notebook and in a terminal."""

    __repr__ = str.__str__


def notes(closed, *, compiled):
    """Sentences on what could not be seen, from the nodes that autograd's graph held."""
    names = {kind: set() for kind, _ in closed}
    for kind, layer in closed:
        names[kind].add(layer if kind == "error" else layer.partition("[")[0] or "(model)")
    said = []
    for kind in sorted(names.keys() & FUSED_RNN):
        said.append(
            f"{', '.join(sorted(names[kind]))}: a fused recurrent layer, whose time steps cannot be seen. Run the "
            "forward pass under torch.backends.mkldnn.flags(enabled=False), on a GPU "
            "torch.backends.cudnn.flags(enabled=False), or let vg.diagnose do so on a copy."
        )
    if compiled or "CompiledFunction" in names:
        said.append(
            "Compiled parts are one piece to autograd, and hooks inside them are ignored. Watch the model without "
            "torch.compile, or some steps under torch.compiler.set_stance('force_eager') (their last digits differ)."
        )
    if "SavedTensor" in names:
        said.append(
            f"{', '.join(sorted(names['SavedTensor'])[:3])}: activations called without a module have no slope and no "
            "output here, because this version of torch does not tell what it kept of them. Torch 2.13 does."
        )
    if "CheckpointFunction" in names:
        said.append(
            "Calls without a module inside a reentrant checkpoint have no rows. Use checkpoint(..., "
            "use_reentrant=False)."
        )
    said += [f"A reading failed and was left out ({words})." for words in sorted(names.get("error", []))]
    return said


def text(seen, *, arrived):
    """The summary that `probe.report` returns."""
    table = seen.table
    if table.empty:
        return Text(
            "\n".join(
                [
                    "Nothing was seen: call the model inside the probe's with block, and not from compiled code.",
                    *seen.notes,
                ]
            )
        )
    last = table[(table.step == table.step.max()) & (table.backward == 0)]
    steps = table.step.nunique()
    words = "1 step" if steps == 1 else f"{steps} steps"
    lines = [f"{len(last)} rows a step, {words} seen; the last is step {last.step.iloc[0]}."]
    lines += _gradient(last, arrived) + _activations(last) + _updates(seen.params) + list(seen.notes)
    return Text("\n".join(lines))


def _gradient(rows, arrived):
    """`arrived` is the number of rows to which a gradient came: in the table a NaN may be one."""
    heard = rows[rows.grad_rms.notna()]
    if arrived > len(heard):
        nans = f"Gradient: NaN in {arrived - len(heard)} of {arrived} rows"
        return [f"{nans}. torch.autograd.set_detect_anomaly(True) names the operation that made the first."]
    if heard.empty:
        return ["No gradient arrived: call backward() inside the with block."]
    first, last = heard.iloc[0], heard.iloc[-1]
    words = f"Gradient: rms {last.grad_rms:.1e} at {last.layer}, {first.grad_rms:.1e} at {first.layer}"
    if not (np.isfinite(heard.grad_rms).all() and (heard.grad_rms > 0).all()):
        bad = heard[~(np.isfinite(heard.grad_rms) & (heard.grad_rms > 0))].iloc[-1]
        return [f"{words}; it is {bad.grad_rms:g} at {bad.layer}."]
    decades = np.log10(first.grad_rms / last.grad_rms)
    silent = len(rows) - len(heard)
    tail = f" {silent} rows got no gradient." if silent else ""
    return [f"{words}, {abs(decades):.1f} decades {'less' if decades < 0 else 'more'}.{tail}"]


def _activations(rows):
    acts = rows[rows.slope.notna()]
    if acts.empty:
        return []
    flattest, deadest = acts.loc[acts.slope.idxmin()], acts.loc[acts.dead.idxmax()]
    words = f"Activations: {acts.saturated.mean():.0%} of values saturated; least slope {flattest.slope:.2g} at "
    return [f"{words}{flattest.layer}; most dead units {deadest.dead:.0%} at {deadest.layer}."]


def _updates(params):
    moved = params[params.update_ratio.notna()]
    if moved.empty:
        return []
    last = moved[moved.step == moved.step.max()].sort_values("update_ratio")
    least, most = last.iloc[0], last.iloc[-1]
    return [
        f"Updates: {least.update_ratio:.1e} of the weight at {least['name']} to {most.update_ratio:.1e} at "
        f"{most['name']}, step {most.step}."
    ]
