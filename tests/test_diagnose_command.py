"""`vglab diagnose`: what it passes on, what it refuses with a sentence, what it writes, and that it leaves no trace."""

import io
import json
import sys

import pytest
import torch

from vglab import __main__ as cli
from vglab import diagnosis
from vglab.diagnosis.verdict import Diagnosis

USERS = """\
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import a_helper_of_mine

x, y = torch.ones(6, 4), torch.arange(6) % 2
batch = x, y
real = x, x[:, :2]
keywords = {"input": x}


def make():
    print("made")
    return nn.Linear(4, 2), (x, y)


def alone():
    return nn.Linear(4, 2)


def everything():
    model = nn.Linear(4, 2)
    return model, (x, y), my_loss, torch.optim.Adam(model.parameters(), lr=0.5)


def loader():
    return nn.Linear(4, 2), DataLoader(TensorDataset(x, y), batch_size=3)


def my_loss(output, target):
    return (output**2).mean()


def each(output, target):
    return output.mean(1)


def my_broken_loss(output, target):
    return {}["no"]


def needs(depth, width=3):
    return None


def fails():
    return [1][3]


def word():
    return "model"


def five():
    return 1, 2, 3, 4, 5


def misfit():
    return nn.Linear(3, 2), (x, y)


class Stops(nn.Linear):
    def forward(self, x):
        raise KeyError("mask")


def stops():
    return Stops(4, 2), (x, y)


def empty():
    return nn.ReLU(), (x, y)


def frozen():
    return nn.Linear(4, 2).requires_grad_(False), (x, y)


def lazy():
    return nn.LazyLinear(2), (x, y)


model = nn.Linear(4, 2)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a file of the user's, which is where the command is typed."""
    (tmp_path / "mynet.py").write_text(USERS)
    (tmp_path / "a_helper_of_mine.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """What `diagnose` was asked for, instead of being done."""
    calls = []

    def diagnose(model, batch, loss_fn, *, optimizer, remedies, progress):
        calls.append({"model": model, "batch": batch, "loss": loss_fn, "optimizer": optimizer, "remedies": remedies})
        if remedies:
            progress(0, 2, "skips")
            progress(1, 2, "smaller steps")
            progress(2, 2, "")
        return Diagnosis("healthy", confidence=0.5)

    monkeypatch.setattr(diagnosis, "diagnose", diagnose, raising=False)
    return calls


def diagnose(*argv):
    return cli.main(["diagnose", *argv])


@pytest.fixture
def answers(folder, asked, capsys):
    """A function from the arguments to (exit code, what stderr says), where nothing may be printed."""

    def answer(*argv):
        code = diagnose(*argv)
        said = capsys.readouterr().err.splitlines()
        assert not asked
        assert "Traceback" not in "".join(said)
        return code, said[-1]

    return answer


def numbered(says):
    """`says` with the number of the line of the user's file that it quotes in place of ``{}``."""
    if "line {}: " not in says:
        return says
    quoted = says.partition("line {}: ")[2].rstrip(").").replace("{{}}", "{}")
    (number,) = (i for i, line in enumerate(USERS.splitlines(), 1) if quoted in line)
    return says.format(number)


# ---------------------------------------------------------------- what it passes on


def test_a_model_and_its_batch_are_diagnosed(folder, asked, capsys):
    assert diagnose("mynet.py:make") == 0
    out, err = capsys.readouterr()
    assert (
        out
        == "made\nhealthy (confidence 0.50)\nThe gradient arrives at the first layers at a size they can learn from.\n"
    )
    assert err.splitlines() == [
        "The target holds whole numbers, so the loss is cross_entropy; choose with --loss.",
        "remedies: 0 of 2, trying skips",
        "remedies: 1 of 2, trying smaller steps",
        "remedies: 2 of 2",
    ]
    (call,) = asked
    assert isinstance(call["model"], torch.nn.Linear)
    assert call["batch"][0].shape == (6, 4)
    assert call["loss"] is torch.nn.functional.cross_entropy
    assert call["optimizer"] is None
    assert call["remedies"] is True


def test_what_the_factory_returns_is_used_and_options_come_first(folder, asked):
    assert diagnose("mynet.py:everything") == 0
    assert diagnose("mynet.py:everything", "--lr", "0.25", "--loss", "mynet.py:my_loss") == 0
    assert diagnose("mynet.py:everything", "--optimizer", "momentum", "--loss", "cross_entropy", "--no-remedies") == 0
    kept, slower, other = asked
    assert [type(call["optimizer"]).__name__ for call in asked] == ["Adam", "Adam", "SGD"]
    assert [call["optimizer"].param_groups[0]["lr"] for call in asked] == [0.5, 0.25, 0.1]
    assert other["optimizer"].param_groups[0]["momentum"] == 0.9
    assert other["optimizer"].param_groups[0]["params"][0] is other["model"].weight
    assert kept["loss"].__name__ == slower["loss"].__name__ == "my_loss"
    assert other["loss"] is torch.nn.functional.cross_entropy
    assert [call["remedies"] for call in asked] == [True, True, False]


@pytest.mark.parametrize("name", ["alone", "model"])
@pytest.mark.parametrize(("batch", "loss"), [("batch", "cross_entropy"), ("real", "mse_loss")])
def test_the_batch_may_stand_apart_and_chooses_the_loss(folder, asked, name, batch, loss):
    assert diagnose(f"mynet.py:{name}", "--batch", f"mynet.py:{batch}") == 0
    assert asked[0]["loss"] is getattr(torch.nn.functional, loss)


def test_of_a_loader_the_first_batch_is_taken(folder, asked):
    assert diagnose("mynet.py:loader") == 0
    assert [part.shape[0] for part in asked[0]["batch"]] == [3, 3]


def test_a_lazy_model_is_given_its_shapes(folder, asked):
    assert diagnose("mynet.py:lazy", "--optimizer", "sgd") == 0
    assert asked[0]["model"].weight.shape == (2, 4)


def test_the_file_does_not_see_our_arguments(folder, asked):
    (folder / "script.py").write_text(f"import sys\n\nassert sys.argv == ['script.py']\n{USERS}")
    assert diagnose("script.py:make", "--no-remedies") == 0


def test_the_file_may_lie_elsewhere(folder, asked, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert diagnose(f"{folder / 'mynet.py'}:make") == 0


# ---------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["my_net.py:make"], "there is no file my_net.py; did you mean mynet.py?"),
        (["mynet.py"], "the factory must be given as FILE.py:NAME; got mynet.py: say which function of it, as in "),
        (["mynet.py:mak"], "mynet.py has no mak; did you mean make? it has x, y, batch, real, keywords, make, alone"),
        (["mynet.py:needs"], "needs(depth, width=3) in mynet.py needs arguments; name a function without."),
        (["mynet.py:alone"], "there is no batch to measure with; give it with --batch FILE.py:batch as (inputs, "),
        (["mynet.py:alone", "--batch", "mynet.py:bach"], "mynet.py has no bach; did you mean batch?"),
        (["mynet.py:make", "--loss", "huber"], "--loss must be cross_entropy, mse or FILE.py:LOSS; got huber."),
        (["mynet.py:make", "--loss", "mynet.py:x"], "x in mynet.py is a Tensor, not a function."),
        (["mynet.py:make", "--html", "no/r.html"], "cannot write to no/r.html: the folder "),
        (["mynet.py:make", "--json", "."], "cannot write to .: it is a folder; name a file in it."),
        (["mynet.py:make", "--html", "-"], "--html needs a path, such as --html report.html."),
    ],
)
def test_a_wrong_call_is_answered_with_a_sentence(answers, argv, says):
    code, said = answers(*argv)
    assert code == 2
    assert said.startswith(f"vglab: {says}")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (
            ["mynet.py:fails"],
            "fails() stopped with IndexError: list index out of range (mynet.py, line {}: return [1][3]).",
        ),
        (["mynet.py:word"], "mynet.py:word returned a str as the model; it must return a torch nn.Module, or (model, "),
        (["mynet.py:five"], "mynet.py:five returned 5 things; it must return a torch nn.Module, or (model, batch), "),
        (["mynet.py:empty"], "this ReLU has no parameters, so there is nothing to learn; return the whole model."),
        (
            ["mynet.py:frozen"],
            "every parameter of this Linear is frozen; set requires_grad on those that are to learn.",
        ),
        (["mynet.py:alone", "--batch", "mynet.py:x"], "batch must be a pair (inputs, target) or a dict"),
    ],
)
def test_what_the_users_code_gets_wrong_is_said(answers, argv, says):
    code, said = answers(*argv)
    assert code == 1
    assert said.startswith(f"vglab: {numbered(says)}")


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["mynet.py:misfit"], ["(6, 4) float32", "mat1 and mat2 shapes cannot be multiplied (6x4 and 3x2)"]),
        (["mynet.py:stops"], ["KeyError: 'mask'", '(mynet.py, line {}: raise KeyError("mask"))']),
        (["mynet.py:make", "--loss", "mynet.py:each"], ["one real number", "(6,) float32"]),
        (
            ["mynet.py:make", "--loss", "mynet.py:my_broken_loss"],
            ["KeyError: 'no'", 'mynet.py, line {}: return {{}}["no"])'],
        ),
        (["mynet.py:alone", "--batch", "mynet.py:keywords"], ["output.loss", "(6, 2) float32"]),
    ],
)
def test_what_does_not_fit_is_shown_with_its_shapes(answers, argv, parts):
    code, said = answers(*argv)
    assert code == 1
    assert all(numbered(part) in said for part in parts), said


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "import torch\n\n1 / 0\n",
            "other.py could not be imported: ZeroDivisionError: division by zero (other.py, line 3: ",
        ),
        ("def f(:\n", "other.py could not be imported: SyntaxError: "),
        ("import no_such_module\n", "No module named 'no_such_module' (other.py, line 1: import no_such_module)."),
        ("raise SystemExit(3)\n", 'put what is to run alone under if __name__ == "__main__":'),
    ],
)
def test_a_file_that_cannot_be_imported_is_shown_where_it_stops(answers, folder, source, says):
    (folder / "other.py").write_text(source)
    code, said = answers("other.py:make")
    assert code == 1
    assert says in said


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--lr", "0"], "a learning rate is a positive number; got 0"),
        (["--lr", "nan"], "a learning rate is a positive number; got nan"),
        (["--optimizer", "rmsprop"], "invalid choice: 'rmsprop'"),
        (["--jsn", "x"], "unknown option --jsn"),
    ],
)
def test_options_that_are_none(folder, asked, argv, says, capsys):
    with pytest.raises(SystemExit) as caught:
        diagnose("mynet.py:make", *argv)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as caught:
        diagnose("--help")
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "vglab diagnose mynet.py:make --optimizer adam --html report.html" in out
    assert "DataLoader, whose first batch is taken" in out


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError("the batch holds NaN; clean it."), "vglab: the batch holds NaN; clean it."),
        (
            RuntimeError("inner"),
            "vglab: the diagnosis stopped with RuntimeError: inner (test_diagnose_command.py, line ",
        ),
        (KeyboardInterrupt(), "vglab: stopped before there was a verdict; nothing was written."),
    ],
)
def test_a_diagnosis_that_stops_is_one_sentence(folder, monkeypatch, capsys, error, says):
    def stop(*args, **kwargs):
        raise error

    monkeypatch.setattr(diagnosis, "diagnose", stop, raising=False)
    assert diagnose("mynet.py:make", "--html", "r.html") == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(says)
    assert not (folder / "r.html").exists()


# ---------------------------------------------------------------- what it writes


def test_reports_are_written_and_named(folder, asked, capsys):
    assert diagnose("mynet.py:make", "--html", "r.html", "--json", "r.json") == 0
    assert (folder / "r.html").read_text("utf-8").startswith("<!doctype html>")
    assert json.loads((folder / "r.json").read_text("utf-8"))["state"] == "healthy"
    assert capsys.readouterr().err.endswith("wrote r.html\nwrote r.json\n")


def test_json_alone_goes_to_the_standard_output(folder, asked, capsys):
    assert diagnose("mynet.py:make", "--json", "-", "--html", "r.html") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["confidence"] == 0.5
    for part in ("made", "healthy (confidence 0.50)", "wrote r.html", "remedies: 2 of 2"):
        assert part in err


def test_on_a_terminal_progress_is_one_line(folder, asked, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert diagnose("mynet.py:make") == 0
    _, first, second, done, *_, after = terminal.getvalue().split("\r")
    assert (first, second.rstrip()) == ("remedies: 0 of 2, trying skips", "remedies: 1 of 2, trying smaller steps")
    assert len(done) == len(second)  # covers what stood there
    assert after == ""
    assert terminal.getvalue().count("\n") == 1


# ---------------------------------------------------------------- what it leaves


@pytest.mark.parametrize("name", ["make", "fails"])
def test_nothing_is_left_behind(folder, asked, name, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before = [*sys.path], [*sys.argv], sys.dont_write_bytecode, {*folder.rglob("*")}
    diagnose(f"mynet.py:{name}")
    assert before == (sys.path, sys.argv, sys.dont_write_bytecode, {*folder.rglob("*")})
    assert not {"mynet", "a_helper_of_mine"} & set(sys.modules)


def test_a_file_called_like_a_module_does_not_replace_it(folder, asked):
    (folder / "json.py").write_text(USERS)
    assert diagnose("json.py:make") == 0
    assert sys.modules["json"] is json
