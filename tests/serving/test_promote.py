"""A promotion that waits until servers have loaded the canary."""

import pytest
from click.testing import CliRunner
from support import bucket, stores

from tfx_shrink.bucket_pusher import models_config, release
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.cli import main
from tfx_shrink.errors import NotServedError, ParameterError


@pytest.fixture
def place(tmp_path):
    """(destination, store, a third model) of a bucket with a canary."""
    destination, store = stores.new_directory(tmp_path / "bucket")
    models = bucket.write_models(tmp_path / "models", 3)
    publish(models[0], destination, mode="pinned", store=store)
    publish(models[1], destination, mode="pinned", label="canary", store=store)
    return destination, store, models[2]


def labels(store):
    return models_config.read_pins(store, "digits")[0]


def test_the_label_stays_where_a_server_does_not_serve_the_canary(place):
    destination, store, _ = place
    with pytest.raises(NotServedError, match="Version 2 of digits"):
        release.promote(destination, address="127.0.0.1:9", timeout_seconds=0.1, store=store)
    assert labels(store) == {"stable": 1, "canary": 2}
    done = CliRunner().invoke(
        main,
        [
            *("promote", destination.url, "--model-name", "digits"),
            *("--address", "127.0.0.1:9", "--timeout-seconds", "0.1"),
        ],
    )
    assert done.exit_code == 1
    assert "127.0.0.1:9 says SILENT" in done.stderr
    assert labels(store) == {"stable": 1, "canary": 2}


def test_the_label_moves_to_the_version_that_was_waited_for_only(place, monkeypatch):
    destination, store, model = place

    def push_another(*_, **__):
        publish(model, destination, mode="pinned", label="canary", store=store)

    monkeypatch.setattr(release, "wait_until_served", push_another)
    with pytest.raises(ParameterError, match="was 2 and is now 3"):
        release.promote(destination, address="serving:8500", store=store)
    assert labels(store) == {"stable": 1, "canary": 3}
