"""What end-to-end tests run on."""

import pytest
from support import cluster


@pytest.fixture(scope="session")
def a_cluster():
    """The cluster that KUBECONFIG names; without one, a test says why it did not run."""
    if reason := cluster.why_not():
        pytest.skip(f"NOT RUN: {reason}")
