"""Which destinations are taken, and what is said about the others."""

import os

import pytest

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.errors import ParameterError


@pytest.mark.parametrize(
    ("given", "path", "version_url"),
    [
        ("/srv/models", "/srv/models", "/srv/models/digits/7"),
        ("/srv/models/", "/srv/models", "/srv/models/digits/7"),
        ("/srv/models//", "/srv/models", "/srv/models/digits/7"),
        ("file:///srv/models", "/srv/models", "file:///srv/models/digits/7"),
        ("file:///srv/models/", "/srv/models", "file:///srv/models/digits/7"),
        ("FILE:///srv/models", "/srv/models", "FILE:///srv/models/digits/7"),
        ("/srv/a b:c", "/srv/a b:c", "/srv/a b:c/digits/7"),
        ("/", "/", "/digits/7"),
        ("file:///", "/", "file:///digits/7"),
    ],
)
def test_a_path_and_a_file_url_name_the_same_place(given, path, version_url):
    destination = parse_destination(given, "digits")
    assert destination.path == path
    assert destination.model_name == "digits"
    assert destination.version_url(7) == version_url


def test_a_relative_path_is_made_absolute():
    destination = parse_destination("build/../bucket", "digits")
    assert destination.path == os.path.abspath("bucket")
    assert destination.version_url(1) == "build/../bucket/digits/1"


@pytest.mark.parametrize(
    "given", ["hdfs://models", "https://models/x", "ftp://host", "abfs://m", ""]
)
def test_an_unknown_scheme_is_answered_with_the_known_ones(given):
    with pytest.raises(ParameterError) as error:
        parse_destination(given, "digits")
    assert "one of ['file://', 'gs://', 's3://', 'az://', 'memory://']" in str(error.value)
    assert f"Received: push_destination={given!r}" in str(error.value)


@pytest.mark.parametrize("given", ["file://srv/models", "file://", "file://./bucket"])
def test_a_file_url_with_two_slashes_is_not_guessed_at(given):
    with pytest.raises(ParameterError, match="three slashes") as error:
        parse_destination(given, "digits")
    assert repr(given) in str(error.value)


@pytest.mark.parametrize("name", ["digits", "7", "a.b-c_D", "Digits2"])
def test_a_model_name_is_one_path_segment(name):
    assert parse_destination("/srv", name).model_name == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/a", "a/", ".hidden", "_tfx", "-x", "a b", "a\n", "modèle"]
)
def test_any_other_model_name_is_refused(name):
    with pytest.raises(ParameterError, match="`model_name` must be one path segment") as error:
        parse_destination("/srv", name)
    assert f"Received: model_name={name!r}" in str(error.value)


@pytest.mark.parametrize(
    ("given", "bucket", "path", "version_url"),
    [
        ("gs://models", "models", "", "gs://models/digits/7"),
        ("gs://models/", "models", "", "gs://models/digits/7"),
        ("s3://models/prod/eu/", "models", "prod/eu", "s3://models/prod/eu/digits/7"),
        ("S3://models/prod", "models", "prod", "s3://models/prod/digits/7"),
        ("az://models/prod", "models", "prod", "az://models/prod/digits/7"),
        ("memory://m", "m", "", "memory://m/digits/7"),
    ],
)
def test_a_bucket_is_named_by_its_url(given, bucket, path, version_url):
    destination = parse_destination(given, "digits")
    assert (destination.bucket, destination.path) == (bucket, path)
    assert destination.version_url(7) == version_url
    assert f"{destination.served_path}/7" == version_url


@pytest.mark.parametrize(
    "given", ["az://ab/x", "s3://a", "gs://", "s3:///models", "gs://" + "x" * 64]
)
def test_a_bucket_name_that_no_cloud_takes_is_refused(given):
    with pytest.raises(ParameterError, match="3 to 63 characters") as error:
        parse_destination(given, "digits")
    assert given in str(error.value)
    assert "Give the name of a" in str(error.value)


@pytest.mark.parametrize("given", ["s3://models/../x", "gs://models//x", "az://models/./x"])
def test_a_prefix_without_a_meaning_is_refused(given):
    with pytest.raises(ParameterError, match=r"'\.\.' segments"):
        parse_destination(given, "digits")


@pytest.mark.parametrize(
    "given", ["s3://KEY:planted@models", "az://models/x?sig=planted", "gs://m#planted"]
)
def test_credentials_in_a_url_are_refused_and_not_repeated(given):
    with pytest.raises(ParameterError, match="come from the environment") as error:
        parse_destination(given, "digits")
    assert "planted" not in str(error.value)
