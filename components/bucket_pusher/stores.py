"""Opens the store that a destination names."""

from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.local_store import LocalStore
from tfx_shrink.bucket_pusher.store import Store


def open_store(destination: Destination) -> Store:
    """Opens a destination's store; asks nothing of it yet.

    Args:
      destination: From `parse_destination`.

    Returns:
      The store, rooted at the destination's root.

    Raises:
      PublishError: The environment holds a configuration that no store takes.
    """
    if destination.scheme == "file://":
        return LocalStore(destination.path, destination.url)
    from tfx_shrink.bucket_pusher.buckets import open_bucket  # Local paths need no obstore.

    return open_bucket(destination)
