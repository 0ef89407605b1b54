"""Take a name from a Python file of the user's, and leave nothing of it behind."""

import difflib
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path


class Refusal(Exception):
    """What the command line answers with: a sentence, and an exit code: 1 for a failure, 2 for a wrong call."""

    def __init__(self, sentence, code=1):
        super().__init__(sentence)
        self.code = code


class UsersFile:
    """Inside its ``with`` block files can be imported, each with its folder on ``sys.path``.

    At the end ``sys.path``, ``sys.argv`` and ``sys.modules`` are as they were, and no bytecode was written.
    """

    def __enter__(self):
        self._before = list(sys.path), list(sys.argv), set(sys.modules), sys.dont_write_bytecode
        self.folders, self._modules = [], {}
        sys.dont_write_bytecode = True
        return self

    def __exit__(self, *exception):
        sys.path[:], sys.argv[:], modules, sys.dont_write_bytecode = self._before
        for name in set(sys.modules) - modules:
            if name.partition(".")[0] not in modules and self._is_users(name.partition(".")[0]):
                del sys.modules[name]

    def get(self, named, role, *, call=True):
        """What ``FILE.py:NAME`` names; a function is called, unless it is wanted itself."""
        path, colon, name = named.rpartition(":")
        if not colon or not path or not name:
            raise Refusal(f"the {role} must be given as FILE.py:NAME; got {named}{_offer(named)}", code=2)
        module = self._import(path)
        if not hasattr(module, name):
            raise Refusal(f"{path} has no {name}; {_choices(module, name)}", code=2)
        value = getattr(module, name)
        if not call and not callable(value):
            raise Refusal(f"{name} in {path} is a {type(value).__name__}, not a function", code=2)
        if not call or not (inspect.isroutine(value) or inspect.isclass(value)):
            return value
        return self._call(value, path, name)

    def blame(self, error, *, anywhere=False):
        """An exception in words, with the last line of the user's files that it came through."""
        said = " ".join(str(error).split()).rstrip(".")
        said = f"{type(error).__name__}: {said}" if said else type(error).__name__
        if isinstance(error, SyntaxError) and error.filename:
            return f"{said.partition(' (')[0]} ({Path(error.filename).name}, line {error.lineno})"
        return said + self.place(error, anywhere=anywhere)

    def place(self, error, *, anywhere=False):
        """`` (mynet.py, line 3: return x[3])``, or nothing where the error came through no file of the user's."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if _within(frame.filename, self.folders)] or frames[-1:] * anywhere
        return f" ({Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line})" if own else ""

    def _call(self, function, path, name):
        try:
            inspect.signature(function).bind()
        except TypeError as error:
            wants = inspect.signature(function)
            raise Refusal(f"{name}{wants} in {path} needs arguments; name a function without", code=2) from error
        except ValueError:
            pass  # a builtin without a signature
        try:
            return function()
        except (Exception, SystemExit) as error:
            raise Refusal(f"{name}() stopped with {self.blame(error)}") from error

    def _import(self, path):
        file = Path(path).resolve()
        if file in self._modules:
            return self._modules[file]
        if not file.is_file():
            raise Refusal(f"there is no file {path}{_similar(file)}", code=2)
        if file.suffix != ".py":
            raise Refusal(f"{path} is not a Python file; give FILE.py:NAME", code=2)
        self.folders.append(file.parent)
        sys.path.insert(0, str(file.parent))
        sys.argv[:] = [path]  # a file that reads its arguments does not get ours
        name = file.stem if file.stem.isidentifier() and file.stem not in sys.modules else f"_users_{file.stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            hint = (
                '; put what is to run alone under if __name__ == "__main__":' if isinstance(error, SystemExit) else ""
            )
            raise Refusal(f"{path} could not be imported: {self.blame(error)}{hint}") from error
        self._modules[file] = module
        return module

    def _is_users(self, name):
        """Whether the module `name` lies directly in one of the folders, as a file or a package."""
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin is None:
            return False
        file = Path(origin).resolve()
        return file.parent in self.folders or (file.stem == "__init__" and file.parent.parent in self.folders)


def _within(filename, folders):
    """Whether a file is the user's: in one of the folders, and neither ours nor an installed one below them."""
    file = Path(filename).resolve()
    ours = Path(__file__).resolve().parents[1]
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    return not installed and ours not in file.parents and any(folder in file.parents for folder in folders)


def _offer(named):
    file = Path(named)
    return f": say which function of it, as in {named}:make" if file.suffix == ".py" else ""


def _choices(module, name):
    """What the file has instead, the most similar name first said."""
    own = [key for key, value in vars(module).items() if not key.startswith("_") and _defined_in(value, module)]
    close = difflib.get_close_matches(name, own, 1)
    if not own:
        return "it defines nothing that could be meant"
    return (f"did you mean {close[0]}? " if close else "") + f"it has {', '.join(own)}"


def _defined_in(value, module):
    if inspect.isroutine(value) or inspect.isclass(value):
        return getattr(value, "__module__", None) == module.__name__
    return not inspect.ismodule(value)


def _similar(file):
    names = [path.name for path in file.parent.glob("*.py")] if file.parent.is_dir() else []
    close = difflib.get_close_matches(file.name, names, 1)
    return f"; did you mean {close[0]}?" if close else ""
