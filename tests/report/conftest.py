import json

import pytest
from support import reports


@pytest.fixture(scope="session")
def report_dir(tmp_path_factory):
    return reports.write(tmp_path_factory.mktemp("reported"))


@pytest.fixture
def facts(report_dir):
    return json.loads((report_dir / "report.json").read_text())


@pytest.fixture
def page(report_dir):
    return (report_dir / "report.html").read_text()
