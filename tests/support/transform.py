"""Transform's output, made by TensorFlow Transform itself."""

import os
import tempfile

import apache_beam as beam
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils


def write_transform_graph(directory, rows, spec, preprocessing_fn):
    """Writes what the stock Transform's `transform_graph` holds.

    Args:
      directory: Where to.
      rows: Dicts of lists, as `spec` describes them.
      spec: Feature spec of the raw rows.
      preprocessing_fn: As for the stock Transform.
    """
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    with (
        tempfile.TemporaryDirectory() as temp,
        beam.Pipeline() as pipeline,
        tft_beam.Context(temp_dir=temp),
    ):
        data = (pipeline | beam.Create(rows), metadata)
        transform_fn = data | tft_beam.AnalyzeDataset(preprocessing_fn)
        _ = transform_fn | tft_beam.WriteTransformFn(directory)
        _ = metadata | tft_beam.WriteMetadata(os.path.join(directory, "metadata"), pipeline)
    assert tf.io.gfile.exists(os.path.join(directory, "transform_fn", "saved_model.pb"))
