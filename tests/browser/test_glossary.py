"""A word in bold, clicked in JupyterLab, opens the glossary at its entry."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize(
    ("lesson", "word", "entry"), [("01_depth", "singular values", "singular value"), ("09_skips", "path", "path")]
)
def test_a_word_leads_to_its_entry(open_notebook, lesson, word, entry):
    notebook = open_notebook(f"lessons/{lesson}.ipynb")
    notebook.show_output_of(f"[**{word}**](98_glossary.ipynb").get_by_role("link", name=word, exact=True).click()
    notebook.page.wait_for_function(
        """entry => {
            const panel = window.jupyterapp.shell.currentWidget;
            const heading = [...panel.node.querySelectorAll('h3')].find(h => h.textContent === `${entry}¶`);
            const view = panel.node.getBoundingClientRect();
            const place = heading?.getBoundingClientRect();
            return panel.title.label === '98_glossary.ipynb' && place?.top > view.top && place?.bottom < view.bottom;
        }""",
        arg=entry,
    )
