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


@pytest.mark.parametrize("given", ["s3://models", "gs://models/x", "ftp://host", "S3://models", ""])
def test_an_unknown_scheme_is_answered_with_the_known_ones(given):
    with pytest.raises(ParameterError) as error:
        parse_destination(given, "digits")
    assert "one of ['file://']" in str(error.value)
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
