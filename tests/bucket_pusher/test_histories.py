"""Random histories of pushes, promotions, roll-backs, retentions and deaths on a memory store."""

import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import bucket, stores

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.books import Books
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import promote, rollback
from tfx_shrink.bucket_pusher.retain import retain
from tfx_shrink.bucket_pusher.versions import verify
from tfx_shrink.errors import ParameterError

HISTORIES = int(os.environ.get("TFX_SHRINK_HISTORIES", "150"))
CONTENTS = 4
DEATH = st.one_of(st.none(), st.integers(1, 40))
STEP = st.one_of(
    st.tuples(st.just("publish"), st.integers(0, CONTENTS - 1), DEATH),
    st.tuples(st.just("canary"), st.integers(0, CONTENTS - 1), DEATH),
    st.tuples(st.just("promote"), st.just(0), DEATH),
    st.tuples(st.just("rollback"), st.just(0), DEATH),
    st.tuples(st.just("retain"), st.integers(1, 3), DEATH),
)


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("contents"), CONTENTS)


def act(step, number, contents, mode, destination, store):
    if step == "publish":
        return publish(contents[number], destination, mode=mode, store=store)
    if step == "canary":
        label = "canary" if mode == "pinned" else "stable"
        return publish(contents[number], destination, mode=mode, label=label, store=store)
    if step == "promote" and mode == "pinned":
        return promote(destination, store=store)
    if step == "rollback":
        return rollback(destination, store=store)
    if step == "retain":
        return retain(destination, number, in_flight_seconds=0, store=store)
    return None


@settings(
    max_examples=HISTORIES,
    deadline=None,
    derandomize=HISTORIES <= 150,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    mode=st.sampled_from(["latest", "pinned"]),
    listed=st.booleans(),
    after=st.booleans(),
    history=st.lists(STEP, min_size=1, max_size=12),
)
@example(  # Live content must go above what a dead push left visible.
    mode="latest",
    listed=False,
    after=False,
    history=[("publish", 1, None), ("publish", 0, 10), ("publish", 1, None)],
)
@example(  # A version without a commit record, whose removal dies, is still known.
    mode="latest",
    listed=False,
    after=False,
    history=[("publish", 0, None), ("publish", 1, 17), ("publish", 0, None), ("retain", 1, 18)],
)
def test_no_history_breaks_what_is_promised(contents, mode, listed, after, history):
    destination, store = stores.new_memory(listed)
    books, numbers, known = Books(store, "digits"), set(), {}
    for step, number, death in history:
        dying = stores.DyingStore(store, death or 10**6, after=after)
        highest = max(numbers, default=0)
        pinned_before = models_config.read_pins(store, "digits")[0]
        try:
            done = act(step, number, contents, mode, destination, dying)
        except (stores.Died, ParameterError):
            done = None
        seen = books.look()
        # A number is taken once and for ever, and new ones are above all before.
        assert all(new > highest for new in seen.taken - numbers)
        numbers |= seen.taken
        # What is complete is whole, and stays what it was.
        for version in seen.complete:
            digest = books.record(version)["digest"]
            assert known.setdefault(version, digest) == digest
            assert verify(destination, version, store=store)[0].problems == ()
        labels, pinned = models_config.read_pins(store, "digits")
        assert pinned <= set(seen.complete)
        if step in ("publish", "canary", "retain") and death:
            assert labels.get("stable") in (
                pinned_before.get("stable"),
                *([] if mode == "latest" else seen.complete),
            )
        if done is not None and step == "publish":
            assert stores.aspired(store, mode) == [done.version]
            assert known[done.version] == done.digest
    final = publish(contents[0], destination, mode=mode, store=store)
    kept = retain(destination, 1, in_flight_seconds=0, store=store).kept
    assert final.version in kept
    assert stores.aspired(store, mode) == [final.version]
    stores.assert_no_garbage(store, kept)
