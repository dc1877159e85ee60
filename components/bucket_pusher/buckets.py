"""Buckets, opened with what the environment holds of credentials, region and endpoint."""

import configparser
import functools
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.object_store import ObjectStore
from tfx_shrink.bucket_pusher.refusals import CREDENTIALS, PLACES, without_secrets
from tfx_shrink.errors import PublishError

_OPTIONS: Any = {
    "timeout": timedelta(minutes=5),
    "connect_timeout": timedelta(seconds=10),
}
_RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(minutes=5)}


def open_bucket(destination: Destination) -> ObjectStore:
    """Opens a bucket with what the environment holds of credentials, region and endpoint.

    Raises:
      PublishError: obstore refuses the configuration.
    """
    scheme, bucket = destination.scheme, destination.bucket
    try:
        if scheme == "memory://":
            store: Any = _memory(bucket)
        elif scheme == "gs://":
            store = GCSStore(
                bucket, client_options=_options(_gcs_endpoint()), retry_config=_RETRIES
            )
        elif scheme == "az://":
            endpoint = os.environ.get("AZURE_STORAGE_ENDPOINT", "")
            store = AzureStore(bucket, client_options=_options(endpoint), retry_config=_RETRIES)
        else:
            store = _s3(bucket)
    except (BaseError, ValueError) as error:
        raise PublishError(
            f"Cannot use {destination.url}: {without_secrets(str(error))}. Check "
            f"{PLACES[scheme]}, and {CREDENTIALS[scheme]}."
        ) from None
    return ObjectStore(
        store,
        destination,
        listed_by_serving=scheme == "gs://",
        md5_etags=scheme in ("s3://", "gs://"),
    )


@functools.cache
def _memory(bucket: str) -> MemoryStore:
    """One store per name and process."""
    return MemoryStore()


def _s3(bucket: str) -> S3Store:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    config: Any = _profile() if "AWS_ACCESS_KEY_ID" not in os.environ else {}
    if endpoint:
        config["endpoint"] = endpoint
    return S3Store(bucket, config=config, client_options=_options(endpoint), retry_config=_RETRIES)


def _gcs_endpoint() -> str:
    """What a service account's file names, as files for emulators do; obstore reads it itself."""
    try:
        with open(os.environ.get("GOOGLE_SERVICE_ACCOUNT", ""), encoding="utf-8") as file:
            return str(json.load(file).get("gcs_base_url", ""))
    except (OSError, ValueError, AttributeError):
        return ""  # obstore says what is wrong with the file.


def _options(endpoint: str) -> Any:
    """How to connect; an endpoint of one's own may be without TLS."""
    return {**_OPTIONS, **({"allow_http": True} if endpoint.startswith("http://") else {})}


def _profile() -> dict[str, Any]:
    """What the AWS profile of AWS_PROFILE, or `default`, holds; obstore reads no profiles."""
    name = os.environ.get("AWS_PROFILE", "default")
    credentials, config = configparser.RawConfigParser(), configparser.RawConfigParser()
    home = Path.home() / ".aws"
    credentials.read(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", home / "credentials"))
    config.read(os.environ.get("AWS_CONFIG_FILE", home / "config"))
    section = "default" if name == "default" else f"profile {name}"
    found = {
        **(config[section] if config.has_section(section) else {}),
        **(credentials[name] if credentials.has_section(name) else {}),
    }
    keys = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    taken = {key: found[key] for key in keys if key in found}
    if "region" in found and not {"AWS_REGION", "AWS_DEFAULT_REGION"} & set(os.environ):
        taken["aws_region"] = found["region"]
    return taken
