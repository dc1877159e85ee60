"""BucketPusher's executor with real artifacts, judged as TFX's own pusher tests judge theirs."""

import os
import shutil

import pytest
from support import bucket
from tfx import v1 as tfx

from tfx_shrink.bucket_pusher.executor import Executor
from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.lineage import file_digests

KINDS = tfx.types.standard_artifacts


class Pushing:
    """One execution: input artifacts, the output artifact, and the bucket."""

    def __init__(self, directory):
        self.directory = directory
        self.bucket = str(directory / "bucket")
        self.inputs = {}
        self.pushed_model = self._artifact(KINDS.PushedModel, "pushed_model")
        self.exec_properties = {
            "push_destination": f"file://{self.bucket}",
            "model_name": "digits",
        }

    def give(self, key, kind, **properties):
        artifact = self._artifact(kind, key)
        for name, value in properties.items():
            artifact.set_int_custom_property(name, value)
        self.inputs[key] = [artifact]
        return artifact

    def give_model(self, write=bucket.write_model):
        return write(os.path.join(self.give("model", KINDS.Model).uri, "Format-Serving"))

    def run(self):
        Executor().Do(self.inputs, {"pushed_model": [self.pushed_model]}, self.exec_properties)

    def assert_pushed(self, model):
        found = self.pushed_model
        assert found.get_int_custom_property("pushed") == 1
        destination = f"file://{self.bucket}/digits/1"
        assert found.get_string_custom_property("pushed_destination") == destination
        assert found.get_string_custom_property("pushed_version") == "1"
        published = os.path.join(self.bucket, "digits", "1")
        assert file_digests(published) == file_digests(model)
        assert file_digests(found.uri) == file_digests(published)

    def assert_not_pushed(self):
        assert self.pushed_model.get_int_custom_property("pushed") == 0
        assert not os.path.exists(self.bucket)
        assert os.listdir(self.pushed_model.uri) == []

    def _artifact(self, kind, name):
        artifact = kind()
        artifact.uri = str(self.directory / name)
        os.makedirs(artifact.uri)
        return artifact


@pytest.fixture
def pushing(tmp_path):
    return Pushing(tmp_path)


def test_a_blessed_model_is_pushed_and_kept_as_an_artifact(pushing):
    model = pushing.give_model()
    pushing.give("model_blessing", KINDS.ModelBlessing, blessed=1)
    pushing.run()
    pushing.assert_pushed(model)


def test_a_model_that_nobody_judged_is_pushed(pushing):
    model = pushing.give_model()
    pushing.run()
    pushing.assert_pushed(model)


def test_a_model_that_is_not_blessed_leaves_the_bucket_untouched(pushing):
    pushing.give_model()
    pushing.give("model_blessing", KINDS.ModelBlessing, blessed=0)
    pushing.run()
    pushing.assert_not_pushed()


@pytest.mark.parametrize("word", ["BLESSED", "NOT_BLESSED"])
def test_a_blessing_file_alone_counts_for_nothing_as_in_the_stock_pusher(pushing, word):
    pushing.give_model()
    blessing = pushing.give("model_blessing", KINDS.ModelBlessing)
    open(os.path.join(blessing.uri, word), "w").close()
    pushing.run()
    pushing.assert_not_pushed()


@pytest.mark.parametrize(("model_blessed", "infra_blessed"), [(1, 0), (0, 1)])
def test_both_blessings_are_needed_where_both_are_given(pushing, model_blessed, infra_blessed):
    pushing.give_model()
    pushing.give("model_blessing", KINDS.ModelBlessing, blessed=model_blessed)
    pushing.give("infra_blessing", KINDS.InfraBlessing, blessed=infra_blessed)
    pushing.run()
    pushing.assert_not_pushed()


def test_an_infra_blessing_suffices(pushing):
    model = pushing.give_model()
    pushing.give("infra_blessing", KINDS.InfraBlessing, blessed=1)
    pushing.run()
    pushing.assert_pushed(model)


def test_the_model_with_warm_up_requests_is_taken_from_the_infra_blessing(pushing):
    infra = pushing.give("infra_blessing", KINDS.InfraBlessing, blessed=1, has_model=1)
    model = bucket.write_model(os.path.join(infra.uri, "stamped_model"))
    pushing.run()
    pushing.assert_pushed(model)


def test_an_infra_blessing_without_a_model_is_refused(pushing):
    pushing.give("infra_blessing", KINDS.InfraBlessing, blessed=1, has_model=0)
    with pytest.raises(RuntimeError, match="make_warmup"):
        pushing.run()
    pushing.assert_not_pushed()


def test_the_artifact_holds_the_model_as_it_was_given(pushing):
    pushing.give_model(bucket.write_tflite)
    pushing.run()
    assert pushing.pushed_model.get_int_custom_property("pushed") == 1
    names = sorted(file_digests(pushing.pushed_model.uri))
    assert names == ["assets.extra/compression.json", "model.tflite", "tflite"]


def test_a_runtime_parameter_with_a_wrong_value_is_refused_before_anything_is_written(pushing):
    pushing.give_model()
    pushing.exec_properties["push_destination"] = "ftp://models"
    with pytest.raises(ParameterError, match="ftp://models"):
        pushing.run()
    pushing.assert_not_pushed()


def test_a_model_artifact_without_a_model_is_refused(pushing):
    model = pushing.give("model", KINDS.Model)
    os.makedirs(os.path.join(model.uri, "Format-Serving"))
    with pytest.raises(ModelError, match="holds no model"):
        pushing.run()
    pushing.assert_not_pushed()


def test_warm_up_requests_are_pushed_with_the_model(pushing, saved, dense_rows):
    model = pushing.give_model(lambda directory: shutil.copytree(saved("keras"), directory))
    examples = pushing.give("examples", KINDS.Examples)
    examples.split_names = '["train"]'
    os.makedirs(os.path.join(examples.uri, "Split-train"))
    shutil.copy(dense_rows, os.path.join(examples.uri, "Split-train", "rows"))
    pushing.exec_properties["num_warmup_requests"] = 3
    pushing.run()
    published = file_digests(os.path.join(pushing.bucket, "digits", "1"))
    added = set(published) - set(file_digests(model))
    assert added == {"assets.extra/tf_serving_warmup_requests"}


def test_settings_reach_the_bucket(pushing):
    pushing.exec_properties.update(mode="pinned", label="canary", versioning="7", retention=1)
    pushing.give_model()
    pushing.run()
    assert pushing.pushed_model.get_string_custom_property("pushed_version") == "7"
    with open(os.path.join(pushing.bucket, "models.config")) as file:
        assert '"canary"' in file.read()


def test_a_second_execution_with_the_same_model_finds_it_published(pushing):
    model = pushing.give_model()
    pushing.run()
    pushing.pushed_model = pushing._artifact(KINDS.PushedModel, "pushed_again")
    pushing.run()
    pushing.assert_pushed(model)
    assert os.listdir(os.path.join(pushing.bucket, "digits")) == ["1"]
