"""JupyterLab on a copy of the lessons, and a real browser in front of it; both leave nothing behind.

Menus are never clicked and nothing sleeps: commands are executed by name, and each step waits for the state it needs.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 1000  # playwright counts in milliseconds
EXPOSED = ("--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


@pytest.fixture(scope="session")
def chromium():
    """A headless browser, or a skipped test that says what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the PATH")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(chromium, tmp_path_factory):
    """JupyterLab on a copy of the lessons as (url, token, folder)."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "lessons", home / "course" / "lessons")
    with serving(home, "jupyterlab", *EXPOSED) as (url, token):
        yield url, token, home / "course"


@contextmanager
def serving(home, module, *options):
    """A running server as (url, token); it serves home / "course", and its home is `home`: progress stays private."""
    token, port, folder = secrets.token_hex(16), _free_port(), home / "course"
    folder.mkdir(exist_ok=True)
    notices = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    notices.parent.mkdir(parents=True)
    notices.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    log = (home / "server.log").open("wb")
    command = [sys.executable, "-m", module, "--no-browser", "--ServerApp.allow_root=True", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    command += [f"--ServerApp.root_dir={folder}", *options]
    server = subprocess.Popen(
        command, cwd=folder, env=_private(home), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(f"{url}/api/status?token={token}", server, home / "server.log")
        yield url, token
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # the server and its kernels
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        log.close()


@pytest.fixture
def open_notebook(chromium, lab):
    """A function from a notebook's path, relative to the course's folder, to an `OpenNotebook`."""
    url, token, _ = lab
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})

    def open_one(path):
        page = context.new_page()
        return OpenNotebook(page, f"{url}/lab/tree/{path}?reset&token={token}")

    yield open_one
    context.close()


class OpenNotebook:
    """A notebook in JupyterLab with its kernel ready: `run_all`, then look at `page`; `troubles` must be empty."""

    def __init__(self, page, url):
        self.page, self._page_errors = page, []
        page.set_default_timeout(40 * SECONDS)
        page.on("pageerror", lambda error: self._page_errors.append(f"page error: {error}"))
        page.on("console", self._listen)
        page.goto(url)
        page.wait_for_function("() => window.jupyterapp")
        page.evaluate("() => window.jupyterapp.restored")
        page.wait_for_function("() => window.jupyterapp.shell.currentWidget?.sessionContext")
        page.evaluate(
            """async () => {
                const panel = window.jupyterapp.shell.currentWidget;
                const ready = async () => {
                    await panel.context.ready;
                    await panel.sessionContext.ready;
                    await panel.sessionContext.session.kernel.info;
                };
                const late = new Promise((_, no) => setTimeout(() => no(new Error('no kernel in 60 s')), 60000));
                await Promise.race([ready(), late]);
            }"""
        )

    def _listen(self, message):
        if (
            message.type == "error" and "Failed to load resource" not in message.text
        ):  # a page without our widgets has them
            self._page_errors.append(f"console: {message.text}")

    def run_all(self):
        """Run every cell and wait until the last is done."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
        self.page.wait_for_function(
            """() => window.jupyterapp.shell.currentWidget.content.widgets
                .filter(cell => cell.model.type === 'code' && cell.model.sharedModel.source.trim())
                .every(cell => cell.model.executionCount && cell.model.executionState !== 'running')""",
            timeout=300 * SECONDS,
        )

    def show_output_of(self, words):
        """Scroll to the cell whose source contains `words` and return its locator."""
        index = self.page.evaluate(
            """async words => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                const index = notebook.widgets.findIndex(cell => cell.model.sharedModel.source.includes(words));
                if (index >= 0) await notebook.scrollToItem(index, 'start');
                return index;
            }""",
            words,
        )
        assert index >= 0, f"no cell contains {words!r}"
        return self.page.locator(f'.jp-Notebook [data-windowed-list-index="{index}"]')

    @property
    def troubles(self):
        """What went wrong so far: error outputs, widgets that could not be shown, errors of the page itself."""
        errors = self.page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.content.widgets
                .filter(cell => cell.model.type === 'code')
                .flatMap(cell => cell.model.outputs.toJSON())
                .filter(output => output.output_type === 'error')
                .map(output => `error output: ${output.ename}: ${output.evalue}`)"""
        )
        places = (self.page.locator(".jupyter-widgets-error-widget"), self.page.get_by_text("Error displaying widget"))
        broken = sum(place.count() for place in places)
        return errors + ["a widget could not be shown"] * broken + self._page_errors


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _private(home):
    """The environment of a user who has never been here."""
    names = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
    }  # fmt: skip
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "VGLAB"))}
    python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    folders = {name: str(home / folder) for name, folder in names.items()}
    return inherited | folders | {"HOME": str(home), "PYTHONPATH": python_path, "OMP_NUM_THREADS": "1"}


def _wait_until_up(url, server, log, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not answer within {seconds} s; the end of its log:\n{log.read_text()[-2000:]}")
