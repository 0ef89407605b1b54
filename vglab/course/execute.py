"""Running a lesson from top to bottom, and leaving of its outputs only what is the same each time."""

import base64
import io
import os
import re
import sys
from pathlib import Path

from nbformat import from_dict

CELL_TIMEOUT = 120  # seconds; far above the 15 that a cell may take, far below nbclient's patience
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "PYTHONHASHSEED": "0", "VGLAB_PROGRESS": "off"}
ENVIRONMENT |= {"TQDM_DISABLE": "1"}  # bars show times
WIDGET = "application/vnd.jupyter.widget-view+json"  # names a widget of a kernel that is gone
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}|\b0x7f[0-9a-f]{8,}")


class LessonError(ValueError):
    """A lesson cannot be built as it stands; the message says which file and cell, and why."""


def run(notebook, source):
    """Run every cell in a fresh kernel in the folder of `source`, and keep the tidied outputs in `notebook`.

    Raises `LessonError` at the first cell that fails, that warns, or that shows something which is not the same on
    the next run or the next machine.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    folder, metadata = Path(source).resolve().parent, from_dict(notebook.metadata)
    reached = []
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        store_widget_state=False,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # ipykernel warns at each start about its local sockets
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=lambda cell, cell_index: reached.append(cell_index + 1),
    )
    env = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | ENVIRONMENT
    try:
        client.execute(env=env)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        reasons = {CellTimeoutError: f"no answer for {CELL_TIMEOUT} s", DeadKernelError: "a dead kernel"}
        reason = reasons.get(type(error)) or " ".join(f"{error.ename}: {error.evalue}".split())
        raise LessonError(f"{Path(source).name}, cell {reached[-1]} stopped with {reason}") from None
    notebook.metadata = metadata  # the kernel adds its exact version
    count = 0
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        count += 1
        cell.execution_count = count
        try:
            cell.outputs = tidy(cell.outputs, count)
            _refuse_path(cell.outputs, folder.parent)
        except LessonError as error:
            raise LessonError(f"{Path(source).name}, cell {number}: {error}") from None


def tidy(outputs, execution_count):
    """Outputs without what changes from run to run: widget ids, timings, a PNG's notes, how prints were chunked.

    Tidying twice changes nothing more. Raises `LessonError` for what cannot be made stable.
    """
    kept = []
    for raw in outputs:
        output = from_dict(raw)
        _refuse(output)
        if output.output_type == "stream":
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
            else:
                kept.append(output)
            continue
        output.pop("transient", None)
        output.data.pop(WIDGET, None)
        if output.output_type == "execute_result":
            output.execution_count = execution_count
        if "image/png" in output.data:
            output.data["image/png"] = _small_png(output.data["image/png"])
        if output.data:
            kept.append(output)
    return kept


def _texts(output):
    if output.output_type == "stream":
        return [output.text]
    return [value for mime, value in output.get("data", {}).items() if mime.startswith("text/")]


def _refuse(output):
    """Stop at an output that a learner should not meet or that differs on each run."""
    if output.output_type == "error":
        raise LessonError(f"it stopped with {output.ename}: {output.evalue}")
    if output.get("name") == "stderr":
        line = output.text.strip().split("\n")[-1]
        raise LessonError(f"it wrote a warning ({line}); a lesson shows none, so cure its cause")
    for text in _texts(output):
        if found := ADDRESS.search(text):
            raise LessonError(f"it shows a memory address ({found[0]}), new on each run; show a value instead")


def _refuse_path(outputs, course):
    """Stop at a path that only this machine has: of the course, the home folder, or Python and what is installed."""
    places = {str(course), os.path.expanduser("~"), sys.prefix, sys.base_prefix}
    names = "|".join(re.escape(place) for place in places if len(Path(place).parts) > 1)  # a home may be / alone
    for text in (text for output in outputs for text in _texts(output)):
        if re.search(rf"(?<!\w)({names})(?!\w)", text):
            raise LessonError("it shows a path of this machine; show a value instead")


def _small_png(encoded):
    """The picture with at most 256 colours and no notes of its maker: a third of the size, the same on each run."""
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    if picture.mode == "P" and picture.info.keys() <= {"transparency"}:
        return encoded  # was made here
    if picture.mode in ("RGBA", "P") and picture.convert("RGBA").getextrema()[3][0] < 255:
        small = picture.convert("RGBA").quantize(256, method=Image.Quantize.FASTOCTREE)
    else:
        small = picture.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    file = io.BytesIO()
    small.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
