"""From the bucket into the directory that TensorFlow Serving loads from."""
