"""BucketPusher: a version appears in the bucket whole, or not at all."""
