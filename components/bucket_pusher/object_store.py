"""Buckets of S3, Google Cloud and Azure, and memory, through obstore."""

import configparser
import contextlib
import functools
import hashlib
import json
import os
import re
import threading
from collections.abc import Generator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.store import Entry, Found
from tfx_shrink.errors import PublishError

# With eight files at a time (content.py) at most 256 MB are on their way.
CHUNK = 8 << 20
_PARTS_AT_ONCE = 4
_OPTIONS: Any = {
    "timeout": timedelta(minutes=5),
    "connect_timeout": timedelta(seconds=10),
}
_RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(minutes=5)}
_CREDENTIALS = {
    "s3://": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of this machine",
    "gs://": "GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT, or a role of this machine",
    "az://": "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, or a workload identity",
    "memory://": "nothing",
}
_PLACES = {
    "s3://": "AWS_REGION and AWS_ENDPOINT_URL",
    "gs://": "the network, and the endpoint in the service account's file if it names one",
    "az://": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ENDPOINT",
    "memory://": "nothing",
}
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|SIGNATURE|SAS", re.IGNORECASE)
_SIGNATURE = re.compile(
    r"(?i)\b(sig|x-amz-[\w-]+|x-goog-[\w-]+|authorization|signature)([=:]\s*)[^&\s\"']+"
)
_SAID = ("Code", "Message")
_REFUSAL = re.compile(r"<Error>.*</Error>", re.DOTALL)
_SHORTEST_SECRET = 6
# Two threads in obstore's MemoryStore can wait for each other: one holds its lock and frees a
# Python object, for which it needs the interpreter's lock, which the other holds.
_MEMORY = threading.RLock()
# obstore raises Python's own errors where there are such.
_MISSING = (NotFoundError, FileNotFoundError)
_FORBIDDEN = (PermissionDeniedError, UnauthenticatedError, PermissionError)


class ObjectStore:
    """One bucket's objects below a prefix.

    Args:
      store: An obstore store, rooted at the bucket.
      destination: Where the root is.
      listed_by_serving: Whether TensorFlow Serving lists it.
      md5_etags: Whether its ETags are MD5 sums where nothing encrypts them otherwise.
    """

    renames = False

    def __init__(
        self, store: Any, destination: Destination, *, listed_by_serving: bool, md5_etags: bool
    ):
        self._store, self._scheme = store, destination.scheme
        self._prefix = f"{destination.path}/" if destination.path else ""
        self.url = destination.url
        self.listed_by_serving = listed_by_serving
        self._md5_etags = md5_etags

    def read(self, key: str) -> Found | None:
        """See `Store`."""
        with self._errors():
            try:
                answer = obstore.get(self._store, self._prefix + key)
                return Found(bytes(answer.bytes()), _version_of(answer.meta))
            except _MISSING as error:
                if _no_bucket(error):
                    raise
                return None

    def stream(self, key: str) -> Generator[bytes, None, None]:
        """See `Store`."""
        with self._errors():
            for chunk in obstore.get(self._store, self._prefix + key).stream(
                min_chunk_size=1 << 20
            ):
                yield bytes(chunk)

    def list(self, prefix: str) -> Sequence[Entry]:
        """See `Store`."""
        with self._errors():
            found = obstore.list(self._store, self._prefix + prefix.rstrip("/")).collect()
        return sorted((self._entry(meta) for meta in found), key=lambda entry: entry.key)

    def children(self, prefix: str) -> Sequence[str]:
        """See `Store`."""
        with self._errors():
            answer = obstore.list_with_delimiter(self._store, self._prefix + prefix.rstrip("/"))
        paths = [*answer["common_prefixes"], *(meta["path"] for meta in answer["objects"])]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def create(self, key: str, data: bytes) -> bool:
        """See `Store`."""
        return self._put_if(key, data, "create")

    def replace(self, key: str, data: bytes, etag: str | None) -> bool:
        """See `Store`."""
        if etag is None:
            return self._put_if(key, data, "create")
        name, _, generation = etag.partition("\n")
        known = {"e_tag": name, "version": generation}
        return self._put_if(key, data, {part: value for part, value in known.items() if value})

    def upload(self, key: str, path: str) -> None:
        """See `Store`: several parts at once where the file has more than one."""
        with self._errors():
            obstore.put(
                self._store,
                self._prefix + key,
                Path(path),
                use_multipart=os.path.getsize(path) > CHUNK,
                chunk_size=CHUNK,
                max_concurrency=_PARTS_AT_ONCE,
            )

    def copy(self, source: str, target: str) -> None:
        """See `Store`: the store copies by itself."""
        with self._errors():
            obstore.copy(self._store, self._prefix + source, self._prefix + target)

    def rename(self, source: str, target: str) -> None:
        """Not in a bucket."""
        raise NotImplementedError(f"{self.url} renames no directories.")

    def delete(self, keys: Sequence[str]) -> None:
        """See `Store`."""
        with self._errors():
            for key in keys:
                with contextlib.suppress(*_MISSING):
                    obstore.delete(self._store, self._prefix + key)

    def etag_of(self, path: str) -> str | None:
        """See `Store`: S3's rule, the MD5 of the content or of its parts' MD5 sums."""
        if not self._md5_etags:
            return None
        parts = []
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                parts.append(hashlib.md5(chunk, usedforsecurity=False).digest())
        if len(parts) <= 1:
            only = parts[0] if parts else hashlib.md5(b"", usedforsecurity=False).digest()
            return f'"{only.hex()}"'
        return f'"{hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"'

    def _put_if(self, key: str, data: bytes, mode: Any) -> bool:
        with self._errors():
            try:
                obstore.put(self._store, self._prefix + key, data, mode=mode)
                return True
            except (AlreadyExistsError, PreconditionError, *_MISSING) as error:
                if _no_bucket(error):
                    raise
        found = self.read(key)
        return found is not None and found.data == data

    def _entry(self, meta: Any) -> Entry:
        key = meta["path"].removeprefix(self._prefix)
        return Entry(key, meta["size"], meta["e_tag"] or "", meta["last_modified"])

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with _MEMORY if self._scheme == "memory://" else contextlib.nullcontext():
                yield
        except (BaseError, OSError, ValueError) as error:
            # Without its cause, whose text may hold what a signed request was sent with.
            raise PublishError(self._explain(error)) from None

    def _explain(self, error: Exception) -> str:
        text = without_secrets(str(error).split("\n\nDebug source")[0])
        credentials, places = _CREDENTIALS[self._scheme], _PLACES[self._scheme]
        if isinstance(error, _FORBIDDEN) or re.search(
            r"\b40[13]\b|InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied", text
        ):
            remedy = (
                "no permission. Credentials are taken from the environment "
                f"({credentials}); they must allow listing, reading, writing and deleting here"
            )
        elif isinstance(error, _MISSING) or _no_bucket(error):
            remedy = (
                "the bucket or container does not exist, or lies elsewhere. Create it, or check "
                f"its name, and {places}"
            )
        elif re.search(r"(?i)redirect|region|\b30[1278]\b|malformed|invalid", text):
            remedy = f"wrong region or endpoint. Check {places}"
        else:
            remedy = f"the store cannot be reached or refuses. Check {places}, and {credentials}"
        return f"Cannot use {self.url}: {remedy}. It said: {text}"


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
            f"{_PLACES[scheme]}, and {_CREDENTIALS[scheme]}."
        ) from None
    return ObjectStore(
        store,
        destination,
        listed_by_serving=scheme == "gs://",
        md5_etags=scheme in ("s3://", "gs://"),
    )


def without_secrets(text: str) -> str:
    """Returns a text without what looks secret in it.

    That is the values of environment variables with such names, signatures, and of a store's
    refusal all but code and message: S3 repeats the request that it refuses, tokens included.
    """
    text = _REFUSAL.sub(_code_and_message, text)
    values = [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "…")
    return _SIGNATURE.sub(r"\1\2…", text)


def _code_and_message(refusal: re.Match[str]) -> str:
    found = (re.search(f"<{tag}>(.*?)</{tag}>", refusal[0], re.DOTALL) for tag in _SAID)
    return ": ".join(part[1] for part in found if part)


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


def _version_of(meta: Any) -> str:
    return f"{meta['e_tag'] or ''}\n{meta['version'] or ''}"


def _no_bucket(error: Exception) -> bool:
    return bool(re.search(r"NoSuchBucket|ContainerNotFound|bucket does not exist", str(error)))
