"""From a push to the next answer, without a request that fails."""

import pytest
from support import answering, hot_swap, pulling
from support.serving_model import Flags, ModelServer

from tfx_shrink.bucket_pusher.publish import publish


def test_a_new_version_on_file_takes_over_without_a_failed_request(numbers, tmp_path):
    destination, _ = pulling.new("file", tmp_path)
    publish(numbers[1], destination)
    base = str(tmp_path / "bucket/digits")
    flags = Flags(model_name="digits", model_base_path=base, **hot_swap.FAST)
    with ModelServer(flags) as server, answering.constantly(server) as asked:
        asked.wait_for(1)
        publish(numbers[2], destination)
        asked.wait_for(2)
    hot_swap.assert_no_failure(asked, 1, 2)


@pytest.mark.parametrize("kind", pulling.KINDS)
def test_new_versions_take_over_through_a_pull_without_a_failed_request(kind, numbers, tmp_path):
    destination, store = pulling.new(kind, tmp_path)
    hot_swap.versions_take_over(store, destination, numbers, tmp_path / "served")


@pytest.mark.parametrize("kind", pulling.KINDS)
def test_a_canary_is_promoted_and_taken_back_without_a_failed_request(kind, numbers, tmp_path):
    destination, store = pulling.new(kind, tmp_path)
    hot_swap.a_canary_is_promoted_and_taken_back(store, destination, numbers, tmp_path / "served")
