"""Measures a pull of 513 MB in 207 files from a loopback S3 server with 30 ms a request.

Beside it boto3's transfer manager plus sha256 of every file, and a pull of the same model, 80 % of
whose weights are zero, stored with `transport="zstd"`. Contenders take turns, each in a process of
its own; the noise floor is how far runs of the same pull lie apart. Exits with 1, naming the
figure, where a pull takes more than 1.1 times what boto3 does or more than 400 MB of memory, or
where zstd moves less than 2.5 times fewer bytes.

    make benchmark-pull
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bucket_pusher import TOOLS, peak_megabytes, s3_environment, write_model
from tables import print_table

ROUNDS = 3
SPARSITY = 0.8
MAX_TO_BOTO3, MAX_RSS, MIN_FEWER = 1.1, 400, 2.5
HERE = Path(__file__).resolve().parent
PYTHONS = {"boto3": str(TOOLS / "moto/bin/python")}
ROOTS = {"ours": "plain", "boto3": "plain", "zstd": "zstd"}


def prune(directory: Path) -> None:
    """Makes weights of a model's large files, most of which are zero."""
    import numpy as np

    chance = np.random.default_rng(0)
    for path in sorted((directory / "variables").iterdir()):
        weights = chance.normal(size=path.stat().st_size // 4).astype(np.float32)
        weights[np.abs(weights) < np.quantile(np.abs(weights), SPARSITY)] = 0
        path.write_bytes(weights.tobytes())


def fill_bucket(model: str, directory: str) -> None:
    """Publishes a model twice, as it is and compressed, into a directory that stands for S3."""
    from tfx_shrink.bucket_pusher.destination import parse_destination
    from tfx_shrink.bucket_pusher.local_store import LocalStore
    from tfx_shrink.bucket_pusher.publish import publish

    for transport in ("plain", "zstd"):
        destination = parse_destination(f"s3://models/{transport}", "m")
        store = LocalStore(os.path.join(directory, "models", transport), destination.url)
        publish(model, destination, transport=transport, store=store)


def ours(url: str, directory: str) -> int:
    """Pulls with tfx-shrink; returns the bytes that came over the network."""
    from tfx_shrink.bucket_pusher.destination import parse_destination
    from tfx_shrink.bucket_pusher.stores import open_store
    from tfx_shrink.puller.puller import Puller

    store = open_store(parse_destination(url, "m"))
    puller = Puller(store, directory, ["m"], keep=2, settle_seconds=60)
    if not puller.look():
        raise RuntimeError(puller.status.to_json())
    return puller.status.models["m"].bytes


def boto3_copy(url: str, directory: str) -> int:
    """Downloads with boto3's transfer manager, 8 files at a time, then hashes every file."""
    import hashlib
    from concurrent.futures import ThreadPoolExecutor

    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    client = boto3.client(
        "s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=Config(max_pool_connections=32)
    )
    prefix = url.removeprefix("s3://models/") + "/m/1/"
    listed = client.list_objects_v2(Bucket="models", Prefix=prefix)["Contents"]
    config = TransferConfig(multipart_chunksize=8 << 20, max_concurrency=8)

    def fetch(item: dict) -> None:
        path = Path(directory) / item["Key"].removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file("models", item["Key"], str(path), Config=config)

    def hash_one(item: dict) -> None:
        with open(Path(directory) / item["Key"].removeprefix(prefix), "rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(1 << 20):
                digest.update(chunk)

    listed.sort(key=lambda item: -item["Size"])
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(fetch, listed))
        list(threads.map(hash_one, listed))
    return sum(item["Size"] for item in listed)


WORK = {"ours": ours, "zstd": ours, "boto3": boto3_copy}


def child(name: str, url: str) -> None:
    """Runs one contender and prints seconds, MB and bytes."""
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        moved = WORK[name](url, directory)
        seconds = time.perf_counter() - started
    print(seconds, peak_megabytes(), moved)


def run(name: str, endpoint: str) -> tuple[float, float, float]:
    """Runs one contender in a process of its own; returns seconds, MB and bytes."""
    done = subprocess.run(
        [PYTHONS.get(name, sys.executable), __file__, name, f"s3://models/{ROOTS[name]}"],
        env={**os.environ, **s3_environment(endpoint)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, rss, moved = map(float, done.stdout.split())
    return seconds, rss, moved


def main() -> int:
    """Prints the table; returns the exit status."""
    from limits import check  # boto3's environment has no NumPy.

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        model, bucket = Path(directory) / "model", os.path.join(directory, "bucket")
        write_model(model)
        prune(model)
        fill_bucket(str(model), bucket)
        sink = subprocess.Popen([sys.executable, str(HERE / "s3_sink.py"), str(port), bucket])
        try:
            time.sleep(1)
            found: dict[str, list[tuple[float, float, float]]] = {}
            for _ in range(ROUNDS):
                for name in ("ours", "boto3", "zstd", "ours"):
                    found.setdefault(name, []).append(run(name, f"http://127.0.0.1:{port}"))
        finally:
            sink.terminate()
            sink.wait()
    median = {name: statistics.median(run[0] for run in runs) for name, runs in found.items()}
    rss = {name: max(run[1] for run in runs) for name, runs in found.items()}
    moved = {name: runs[0][2] for name, runs in found.items()}
    print_table(
        ["", "s", "range", "MB of memory", "MB moved"],
        [
            [
                name,
                f"{median[name]:.2f}",
                f"{min(run[0] for run in runs):.2f}-{max(run[0] for run in runs):.2f}",
                f"{rss[name]:.0f}",
                f"{moved[name] / 1e6:.0f}",
            ]
            for name, runs in found.items()
        ],
    )
    pairs = [run[0] for run in found["ours"]]
    floor = statistics.median(pairs[::2]) / statistics.median(pairs[1::2])
    print(f"noise floor, ours against ours: {floor:.2f}")
    ratio, fewer = median["ours"] / median["boto3"], moved["ours"] / moved["zstd"]
    print(f"ours / boto3 {ratio:.2f}, plain / zstd bytes {fewer:.2f}")
    missed: list[str] = []
    check(missed, "ours / boto3", ratio, most=MAX_TO_BOTO3)
    check(missed, "MB of memory", max(rss["ours"], rss["zstd"]), most=MAX_RSS)
    check(missed, "plain / zstd bytes", fewer, least=MIN_FEWER)
    for text in missed:
        print(f"MISSED: {text}", file=sys.stderr)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(child(*sys.argv[1:]) if len(sys.argv) > 1 else main())
