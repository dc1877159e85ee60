"""The example notebook runs, and is committed without what it printed."""

import asyncio
from pathlib import Path

import nbclient
import nbformat
import pytest

import tfx_shrink.pipelines.digits

NOTEBOOK = Path(tfx_shrink.pipelines.digits.__file__).with_name("digits.ipynb")


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_no_output_is_committed(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.mark.notebook
def test_every_cell_runs_and_the_report_is_shown(notebook, tmp_path):
    asyncio.set_event_loop(asyncio.new_event_loop())
    client = nbclient.NotebookClient(
        notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown, verdict = notebook.cells[-2].outputs, notebook.cells[-1].outputs
    page = "".join(output.get("data", {}).get("text/html", "") for output in shown)
    assert "<iframe srcdoc=" in page
    assert "Compression report" in page
    assert verdict[0]["text"].strip() == "blessed"
