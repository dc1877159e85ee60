"""Publishing to servers that speak S3, Azure and Google Cloud Storage."""

import contextlib
import functools
import itertools
import logging
import os
import re
import urllib.error
import urllib.parse
import urllib.request

import pytest
from support import bucket, deaths, pipelines, races
from tfx import v1 as tfx

from tfx_shrink import BucketPusher
from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.object_store import CHUNK
from tfx_shrink.bucket_pusher.publish import check_writable, publish
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


@pytest.fixture
def on_gcs(gcs, monkeypatch):
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", gcs.credentials)
    urllib.request.urlopen(urllib.request.Request(f"{gcs.endpoint}/models", method="PUT")).close()
    return "gs://models"


@pytest.fixture(params=["on_s3", "on_azure", "on_gcs"])
def url(request):
    """A bucket's URL."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def place(url):
    """(destination, store) below a new prefix."""
    destination = parse_destination(f"{url}/root{next(_NAMES)}", "digits")
    return destination, open_store(destination)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 32)


@pytest.fixture(scope="module")
def real_models(tmp_path_factory):
    return deaths.save_real_models(tmp_path_factory.mktemp("real_models"))


@pytest.fixture(scope="module")
def tensorflow_on_gcs(gcs):
    server = deaths.RemoteServer(gcs.reader)
    yield server
    server.close()


@pytest.fixture
def server(url, request, tmp_path):
    """TensorFlow's C++ loader: on gs:// with TensorFlow's own client, else on a copy."""
    if url.startswith("gs://"):
        return request.getfixturevalue("tensorflow_on_gcs")
    return deaths.Server(tmp_path / "served")


def test_thirty_two_publishers_at_once_make_thirty_two_whole_versions(models, place):
    races.assert_distinct_whole_versions(models, *place)


def test_models_pushed_at_once_do_not_lose_each_others_entry(models, place):
    races.assert_no_entry_is_lost(models[:4], *place)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("mode", ["latest", "pinned"])
def test_a_push_that_dies_at_any_request_is_never_served_in_part(
    mode, after, url, server, real_models
):
    def new(number):
        destination = parse_destination(f"{url}/root{next(_NAMES)}", "digits")
        return destination, open_store(destination)

    deaths.assert_never_served_in_part(new, mode, real_models, server, after=after)


def test_every_version_is_loaded_and_answers_from_where_it_was_published(
    place, server, real_models
):
    destination, store = place
    for number, model in enumerate(real_models, 1):
        assert publish(model, destination, store=store).version == number
    answers = [server.answer(destination, store, number) for number in (1, 2, 3)]
    assert answers == [1.0, 2.0, 3.0]


def test_a_file_of_several_parts_arrives_whole_and_is_known_by_its_etag(place, tmp_path):
    destination, store = place
    model = bucket.write_model(tmp_path / "model", weights=os.urandom(2 * CHUNK + 1))
    read_back = []
    stream = store.stream
    store.stream = lambda key: (read_back.append(key), stream(key))[1]
    publish(model, destination, store=store)
    if destination.scheme == "s3://":  # The others' ETags say nothing of an object of parts.
        assert read_back == []
    store.stream = stream
    assert verify(destination, store=store)[0].problems == ()


def test_a_bucket_that_is_missing_is_named_with_a_remedy(url, models):
    scheme = url.partition("://")[0]
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


@pytest.fixture
def user_without_rights(s3):
    """Keys of a user who may do nothing; moto asks for rights meanwhile."""
    ask = functools.partial(_ask_iam, s3)
    ask("CreateUser", UserName="nobody")
    answer = ask("CreateAccessKey", UserName="nobody")
    _reset_auth(s3, 0)
    yield tuple(
        re.search(rf"<{name}>(.*)</{name}>", answer)[1]
        for name in ("AccessKeyId", "SecretAccessKey")
    )
    _reset_auth(s3, 1 << 30)


def test_a_user_without_permission_is_told_what_the_credentials_must_allow(
    on_s3, user_without_rights, models, monkeypatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", user_without_rights[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", user_without_rights[1])
    destination = parse_destination(f"{on_s3}/forbidden", "digits")
    for ask in (lambda: publish(models[0], destination), lambda: check_writable(destination)):
        with pytest.raises(PublishError, match=r"no permission.*listing, reading") as error:
            ask()
        assert "s3://models/forbidden" in str(error.value)
        assert user_without_rights[1] not in str(error.value)


def test_no_secret_is_written_anywhere(on_s3, real_models, tmp_path, caplog):
    root = tmp_path / "pipeline"
    model = tfx.dsl.Importer(real_models[0], tfx.types.standard_artifacts.Model).with_id("Model")
    pusher = BucketPusher(
        model=model.outputs["result"],
        push_destination=f"{on_s3}/secrets",
        model_name="digits",
        mode="pinned",
    )
    with caplog.at_level(logging.DEBUG):
        pipelines.run(
            tfx.dsl.Pipeline(
                "secrets",
                str(root),
                components=[model, pusher],
                metadata_connection_config=pipelines.connection(tmp_path),
            )
        )
    store = open_store(parse_destination(f"{on_s3}/secrets", "digits"))
    written = {entry.key: store.read(entry.key).data for entry in store.list("")}
    assert "models.config" in written
    local = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert tmp_path / "metadata.sqlite" in local
    everything = {**written, **local, "log": caplog.text.encode()}
    assert [place for place, data in everything.items() if SECRET.encode() in data] == []


def _ask_iam(endpoint, action, **parameters):
    form = urllib.parse.urlencode({"Action": action, "Version": "2010-05-08", **parameters})
    scope = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request"
    request = urllib.request.Request(endpoint, form.encode(), {"Authorization": scope})
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def _reset_auth(endpoint, free_requests):
    """After this many requests moto asks for rights (docs.getmoto.org, IAM-like access control)."""
    request = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", str(free_requests).encode())
    urllib.request.urlopen(request).close()


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
