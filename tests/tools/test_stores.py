"""Publishing to servers that speak S3 and Azure."""

import contextlib
import itertools
import os
import urllib.error
import urllib.request

import pytest
from support import bucket, races, stores

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.object_store import CHUNK
from tfx_shrink.bucket_pusher.publish import check_writable, publish
from tfx_shrink.bucket_pusher.retain import retain
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.bucket_pusher.versions import verify
from tfx_shrink.errors import PublishError

from .conftest import AZURITE_ACCOUNT, AZURITE_KEY

pytestmark = pytest.mark.tools
_NAMES = itertools.count()
SECRET = "planted-s3cr3t-value"


@pytest.fixture
def on_s3(s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "planted-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    urllib.request.urlopen(urllib.request.Request(f"{s3}/models", method="PUT")).close()
    return "s3://models"


@pytest.fixture
def on_azure(azure, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", AZURITE_ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURITE_KEY)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azure)
    _make_container(azure, "models")
    return "az://models"


@pytest.fixture(params=["on_s3", "on_azure"])
def place(request):
    """(destination, store) below a new prefix."""
    url = request.getfixturevalue(request.param)
    destination = parse_destination(f"{url}/root{next(_NAMES)}", "digits")
    return destination, open_store(destination)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 32)


def test_thirty_two_publishers_at_once_make_thirty_two_whole_versions(models, place):
    races.assert_distinct_whole_versions(models, *place)


def test_models_pushed_at_once_do_not_lose_each_others_entry(models, place):
    races.assert_no_entry_is_lost(models[:4], *place)


@pytest.mark.parametrize("listed", [False, True], ids=["in place", "staged"])
def test_a_push_that_dies_at_any_request_is_never_served_in_part(models, place, listed, tmp_path):
    root, _ = place
    for number in itertools.count(1):
        destination = parse_destination(f"{root.url}/{number}", "digits")
        store = open_store(destination)
        store.listed_by_serving = listed
        publish(models[0], destination, store=store)
        dying = stores.DyingStore(store, number)
        with contextlib.suppress(stores.Died):
            publish(models[1], destination, store=dying)
        if not dying.died:
            return
        (highest,) = stores.aspired(store, "latest")
        names = {entry.key for entry in store.list(f"digits/{highest}/")}
        assert len(names) == 5 or f"digits/{highest}/saved_model.pb" not in names
        again = publish(models[1], destination, store=store)
        assert verify(destination, again.version, store=store)[0].problems == ()
        done = retain(destination, 1, in_flight_seconds=0, store=store)
        stores.assert_no_garbage(store, done.kept)


def test_a_file_of_several_parts_arrives_whole_and_is_known_by_its_etag(place, tmp_path):
    destination, store = place
    model = bucket.write_model(tmp_path / "model", weights=os.urandom(2 * CHUNK + 1))
    read_back = []
    stream = store.stream
    store.stream = lambda key: (read_back.append(key), stream(key))[1]
    publish(model, destination, store=store)
    if destination.scheme == "s3://":
        assert read_back == []
    store.stream = stream
    assert verify(destination, store=store)[0].problems == ()


@pytest.mark.parametrize("where", ["on_s3", "on_azure"])
def test_a_bucket_that_is_missing_is_named_with_a_remedy(where, request, models):
    scheme = request.getfixturevalue(where).partition("://")[0]
    destination = parse_destination(f"{scheme}://missing-one/x", "digits")
    for ask in (lambda: publish(models[0], destination), lambda: check_writable(destination)):
        with pytest.raises(PublishError, match="does not exist") as error:
            ask()
        assert f"{scheme}://missing-one/x" in str(error.value)
        assert "Create it" in str(error.value)


def test_wrong_credentials_are_an_error_that_does_not_repeat_them(on_azure, models, monkeypatch):
    wrong = "cGxhbnRlZC1zM2NyM3QtdmFsdWU="
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", wrong)
    with pytest.raises(PublishError, match="no permission") as error:
        publish(models[0], parse_destination("az://models/x", "digits"))
    assert wrong not in repr(error.value)
    assert error.value.__cause__ is None


def test_an_endpoint_where_nobody_answers_is_named(on_s3, models, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(PublishError, match="AWS_REGION and AWS_ENDPOINT_URL"):
        publish(models[0], parse_destination("s3://models/x", "digits"))


def test_no_secret_is_written_anywhere(on_s3, models, caplog):
    destination = parse_destination(f"{on_s3}/secrets", "digits")
    done = publish(models[0], destination, mode="pinned", run={"pipeline": "p"})
    store = open_store(destination)
    for key in stores.keys(store):
        assert SECRET.encode() not in store.read(key).data
    assert SECRET not in caplog.text + repr(done)


def _make_container(endpoint, name):
    """Azurite takes the SDK's requests only, so the container is made by a signed one."""
    import base64
    import datetime
    import hashlib
    import hmac

    now = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = f"x-ms-date:{now}\nx-ms-version:2021-12-02"
    resource = f"/{AZURITE_ACCOUNT}/{AZURITE_ACCOUNT}/{name}\nrestype:container"
    text = "PUT" + "\n" * 12 + f"{headers}\n{resource}"
    digest = hmac.new(base64.b64decode(AZURITE_KEY), text.encode(), hashlib.sha256).digest()
    request = urllib.request.Request(
        f"{endpoint}/{name}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": now,
            "x-ms-version": "2021-12-02",
            "Authorization": f"SharedKey {AZURITE_ACCOUNT}:{base64.b64encode(digest).decode()}",
        },
    )
    with contextlib.suppress(urllib.error.HTTPError):  # It is there from the test before.
        urllib.request.urlopen(request).close()
