"""Pushes that die at every request, and servers that look at what was left."""

import contextlib
import itertools
import json
import subprocess
import sys

import numpy as np
import tensorflow as tf

from support import stores
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.retain import retain
from tfx_shrink.lineage import file_digests

ROWS = np.ones([1, 2], np.float32)


def save_real_models(root):
    """Three small SavedModels with a variable, which answer 1, 2 and 3; returns where they are."""
    made = []
    for factor in (1.0, 2.0, 3.0):
        module = tf.Module()
        module.weight = tf.Variable([factor, factor], name="weight")

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def serve(x, module=module):
            return {"y": tf.reduce_mean(x * module.weight, -1)}

        made.append(str(root / str(int(factor))))
        tf.saved_model.save(module, made[-1], signatures={"serving_default": serve})
    return made


class Server:
    """TensorFlow's C++ loader on a copy of the bucket, once for every content of a directory."""

    def __init__(self, directory):
        self.directory, self.answers = directory, {}

    def answer(self, destination, store, number):
        """What the version answers to ROWS, or None: it does not load."""
        local = str(self.directory / str(len(self.answers)))
        stores.download(store, f"{destination.model_name}/{number}/", local)
        content = tuple(sorted(file_digests(local).items()))
        if content not in self.answers:
            found = stores.load_and_predict(local, ROWS)
            self.answers[content] = None if found is None else float(found[0])
        return self.answers[content]


class RemoteServer:
    """TensorFlow's C++ loader in a process of its own, which reads the bucket itself."""

    def __init__(self, environment):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.remote_server"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self, destination, store, number):
        """See `Server`."""
        del store
        self._process.stdin.write(f"{destination.served_path}/{number}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def deaths(new, prepare, act, *, after=False):
    """Acts once for every request at which the store can die; yields what was left.

    Args:
      new: Called with a number; returns (destination, store) of an empty place.
      prepare: Called with both, before.
      act: Called with the destination and the store that dies.
      after: Whether the last request still arrives.
    """
    for number in itertools.count(1):
        destination, store = new(number)
        prepare(destination, store)
        dying = stores.DyingStore(store, number, after=after)
        with contextlib.suppress(stores.Died):
            act(destination, dying)
        if not dying.died:
            assert number > 5
            return
        yield destination, store


def assert_never_served_in_part(new, mode, models, server, *, after=False):
    """A server has the old version, the new one whole, or a load of the new one that fails.

    The next push completes, and `retain` leaves no garbage. Returns {(version, answer)} as a
    server that asked at each death saw them.
    """
    old, newer = models[:2]
    seen = set()
    for destination, store in deaths(
        new,
        lambda destination, store: publish(old, destination, mode=mode, store=store),
        lambda destination, store: publish(newer, destination, mode=mode, store=store),
        after=after,
    ):
        (number,) = stores.aspired(store, mode)
        answer = server.answer(destination, store, number)
        seen.add((number, answer))
        # 1.0: the old version. None: a load that fails, after which the old one is still served.
        assert answer == {1: 1.0}.get(number, 2.0) or (mode == "latest" and answer is None)
        again = publish(newer, destination, mode=mode, store=store)
        assert stores.aspired(store, mode) == [again.version]
        assert server.answer(destination, store, again.version) == 2.0
        done = retain(destination, 1, in_flight_seconds=0, store=store)
        stores.assert_no_garbage(store, done.kept)
        assert again.version in done.kept
        assert server.answer(destination, store, again.version) == 2.0
    assert (1, 1.0) in seen
    return seen
