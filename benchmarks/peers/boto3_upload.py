"""An upload with boto3's transfer manager, 8 files at a time, after hashing every file."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config


def upload(model: str, bucket: str, prefix: str) -> None:
    """Hashes every file of a directory, then sends them all, the largest first."""
    paths = sorted((path for path in Path(model).rglob("*") if path.is_file()), key=os.path.getsize)
    client = boto3.client(
        "s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=Config(max_pool_connections=32)
    )
    config = TransferConfig(multipart_chunksize=8 << 20, max_concurrency=8)

    def send(path: Path) -> None:
        client.upload_file(str(path), bucket, f"{prefix}/{path.relative_to(model)}", Config=config)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(_hash, paths))
        list(threads.map(send, reversed(paths)))


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
