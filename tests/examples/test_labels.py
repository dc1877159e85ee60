"""Labels are read as Transform makes them, else as the rows hold them."""

import numpy as np
import pytest
import tensorflow as tf
from support import rows
from support.transform import write_transform_graph

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.labels import make_label_decoder


def labels(serialized, key, **context):
    return make_label_decoder(serialized, key, **context)(tf.constant(serialized)).numpy()


def test_scalars_and_vectors_keep_their_type_and_shape():
    serialized = rows.examples({"one": np.array([3, 1, 2]), "many": np.eye(3)})
    assert labels(serialized, "one").tolist() == [3, 1, 2]
    assert labels(serialized, "one").dtype == np.int64
    assert labels(serialized, "many").tolist() == np.eye(3).tolist()
    assert labels(serialized, "many").dtype == np.float32


def test_a_transformed_label_comes_before_a_raw_one(tmp_path):
    raw = [{"species": name} for name in ("cat", "dog", "dog", "bee")]
    write_transform_graph(
        str(tmp_path),
        raw,
        {"species": tf.io.FixedLenFeature([], tf.string)},
        lambda inputs: {"species": tf.cast(tf.equal(inputs["species"], "dog"), tf.int64)},
    )
    serialized = rows.examples({"species": np.array(["cat", "dog", "dog", "bee"])})
    found = labels(serialized, "species", transform_graph=str(tmp_path))
    assert found.tolist() == [0, 1, 1, 0]


def test_labels_that_are_missing_or_text_are_refused():
    serialized = rows.examples({"species": np.array(["cat", "dog"])})
    with pytest.raises(ExamplesError, match=r"\['species'\].*label_key='label'"):
        labels(serialized, "label")
    with pytest.raises(ExamplesError, match="holds text"):
        labels(serialized, "species")


def test_a_label_that_some_rows_lack_is_refused():
    serialized = [rows.example(label=1, x=1.0), rows.example(x=2.0)]
    with pytest.raises(ExamplesError, match="label"):
        labels(serialized, "label")
