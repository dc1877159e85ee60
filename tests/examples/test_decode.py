"""What `decode_rows` promises: the tensors that a model reads, from raw or transformed rows."""

import numpy as np
import pytest
import tensorflow as tf
from support import rows

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.decode import decode_rows
from tfx_shrink.examples.features import feature_kinds


def spec(*shape, dtype=tf.float32):
    return tf.TensorSpec(shape, dtype)


def test_a_missing_feature_is_named_with_both_sides_and_the_way_out():
    serialized = [rows.example(age=1.0, word="a")]
    inputs = {"age_xf": spec(None, 1), "word_xf": spec(None, 1, dtype=tf.int64)}
    with pytest.raises(ExamplesError) as error:
        decode_rows(serialized, inputs)
    text = str(error.value)
    assert "The model reads ['age_xf', 'word_xf']" in text
    assert "in the rows there is ['age', 'word']" in text
    assert "Give `transform_graph`" in text


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (tf.int32, [[3], [-7]]),
        (tf.uint8, [[3], [255]]),
        (tf.bool, [[True], [False]]),
        (tf.float16, [[0.5], [-2.0]]),
        (tf.float64, [[0.5], [-2.0]]),
        (tf.string, [[b"a"], [b"b"]]),
    ],
)
def test_values_arrive_in_the_type_that_the_model_reads(dtype, values):
    serialized = [rows.example(x=value) for value in values]
    array = decode_rows(serialized, {"x": spec(None, 1, dtype=dtype)})["x"]
    assert array.tolist() == values
    assert dtype == tf.string or array.dtype == dtype.as_numpy_dtype


def test_vectors_of_open_length_are_padded_with_zeros():
    serialized = [rows.example(x=values) for values in ([1.0], [2.0, 3.0, 4.0], [])]
    array = decode_rows(serialized, {"x": spec(None, None)})["x"]
    assert array.tolist() == [[1, 0, 0], [2, 3, 4], [0, 0, 0]]


def test_flat_values_take_the_shape_that_the_model_reads():
    images = np.arange(128, dtype=np.float32).reshape(2, 8, 8, 1)
    array = decode_rows(rows.examples({"image": images}), {"image": spec(None, 8, 8, 1)})["image"]
    np.testing.assert_array_equal(array, images)


def test_scalars_need_no_second_dimension():
    serialized = [rows.example(x=value) for value in (1.0, 2.0)]
    assert decode_rows(serialized, {"x": spec(None)})["x"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "serialized",
    [
        pytest.param([rows.example(x=[1.0] * 63)], id="too short"),
        pytest.param([rows.example(x=[1] * 64)], id="integers"),
        pytest.param([rows.example(x=["a"] * 64)], id="strings"),
        pytest.param([rows.example(x=[1.0] * 64), rows.example(y=1)], id="missing in one row"),
        pytest.param([rows.example(x=[1.0] * 64), rows.example(x=[])], id="empty in one row"),
    ],
)
def test_a_feature_of_another_shape_or_type_is_named(serialized):
    with pytest.raises(ExamplesError, match=r"cannot be parsed.*\bx\b"):
        decode_rows(serialized, {"x": spec(None, 8, 8, 1)})


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (tf.TensorSpec(None, tf.float32), "no known rank"),
        (spec(None, None, 3), "only the length of a vector may be open"),
    ],
)
def test_a_shape_that_no_row_can_fill_is_refused(tensor, words):
    with pytest.raises(ExamplesError, match=f"'x'.*{words}"):
        decode_rows([rows.example(x=[1.0] * 6)], {"x": tensor})


def schema_file(tmp_path, text):
    path = tmp_path / "schema.pbtxt"
    path.write_text(text)
    return str(path)


OPTIONAL = 'feature {name: "x" type: FLOAT value_count {min: 0 max: 1}}'
DEFAULT = """
  feature {name: "x" type: FLOAT value_count {min: 0 max: 1}}
  tensor_representation_group {
    key: ""
    value {
      tensor_representation {
        key: "x"
        value {
          dense_tensor {
            column_name: "x" shape {dim {size: 1}} default_value {float_value: 9.0}
          }
        }
      }
    }
  }
"""


@pytest.mark.parametrize("values", [[1.0, None, 3.0], [None, None]], ids=["in one", "in all"])
@pytest.mark.parametrize(
    ("schema", "filled"), [(OPTIONAL, 0.0), (DEFAULT, 9.0)], ids=["empty", "default"]
)
def test_a_feature_may_be_missing_where_the_schema_says_so(tmp_path, values, schema, filled):
    serialized = [rows.example(x=value, y=0.5) for value in values]
    path = schema_file(tmp_path, schema)
    array = decode_rows(serialized, {"x": spec(None, 1)}, schema=path)["x"]
    assert array.tolist() == [[filled if value is None else value] for value in values]


def test_the_schema_shapes_what_the_model_leaves_open(tmp_path):
    fixed = """feature {
      name: "x" type: INT shape {dim {size: 3}} presence {min_fraction: 1.0}
    }"""
    inputs = {"x": spec(None, None, dtype=tf.int32)}
    schema = schema_file(tmp_path, fixed)
    array = decode_rows([rows.example(x=[1, 2, 3])], inputs, schema=schema)["x"]
    assert array.tolist() == [[1, 2, 3]]
    with pytest.raises(ExamplesError, match=r"\bx\b"):
        decode_rows([rows.example(x=[1, 2])], inputs, schema=schema)


def test_more_values_than_the_model_reads_are_named_with_both_shapes(tmp_path):
    schema = schema_file(tmp_path, OPTIONAL)
    with pytest.raises(ExamplesError, match=r"'x' has the shape \(1, 2\).*\(None, 1\)"):
        decode_rows([rows.example(x=[1.0, 2.0])], {"x": spec(None, 1)}, schema=schema)


def test_kinds_are_collected_over_all_rows():
    serialized = [rows.example(a=[], b=1), rows.example(a=1.0, c="text"), rows.example(a=[])]
    kinds = feature_kinds([*serialized, rows.example()])
    assert kinds == {"a": "float_list", "b": "int64_list", "c": "bytes_list"}
