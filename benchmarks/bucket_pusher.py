"""Measures a push of 513 MB in 207 files to a loopback S3 server with 30 ms a request.

Beside it the stock Pusher's copy through tensorflow-io, and boto3's transfer manager plus sha256 of
every file. Contenders take turns, each in a process of its own; the noise floor is how far runs of
the same push lie apart. Exits with 1, naming the figure, where a push is not 10 times as fast as
the stock copy, takes more than 1.1 times what boto3 does, or more than 400 MB of memory.

    make benchmark-bucket-pusher
"""

import dataclasses
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
MIN_SPEEDUP, MAX_TO_BOTO3, MAX_RSS = 10, 1.1, 400
HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent / ".tools"
PYTHONS = {"boto3": str(TOOLS / "moto/bin/python")}
OVERLAYS = {"stock": str(TOOLS / "tensorflow-io")}


@dataclasses.dataclass(frozen=True)
class Pushes:
    """What was measured, by contender.

    Attributes:
      seconds: Medians, without the start of a process.
      megabytes: The most memory that a run took.
      floor: Ratio of two medians of our own runs.
      half_visible: Seconds for which a server could see half a version of the staged push.
    """

    seconds: dict[str, float]
    megabytes: dict[str, float]
    floor: float
    half_visible: float


def write_model(directory: Path) -> None:
    """Writes 4 files of 120 MB, one of 5 MB and 202 small ones."""
    (directory / "variables").mkdir(parents=True)
    (directory / "assets").mkdir()
    chance = random.Random(0)
    for number in range(4):
        name = f"variables.data-0000{number}-of-00004"
        with open(directory / "variables" / name, "wb") as file:
            for _ in range(120):
                file.write(chance.randbytes(1 << 20))
    (directory / "saved_model.pb").write_bytes(chance.randbytes(5 << 20))
    for number in range(202):
        (directory / "assets" / f"{number}.txt").write_bytes(chance.randbytes(20_000))


def ours(model: str, url: str) -> None:
    """Pushes with tfx-shrink, as to a bucket that TensorFlow Serving does not list."""
    from tfx_shrink.bucket_pusher.destination import parse_destination
    from tfx_shrink.bucket_pusher.publish import publish

    publish(model, parse_destination(url, "m"))


def ours_staged(model: str, url: str) -> None:
    """Pushes with tfx-shrink as to gs://; prints how long a server could see half a version."""
    from tfx_shrink.bucket_pusher.destination import parse_destination
    from tfx_shrink.bucket_pusher.publish import publish
    from tfx_shrink.bucket_pusher.stores import open_store

    destination = parse_destination(url, "m")
    store = open_store(destination)
    store.listed_by_serving = True
    copy, create = store.copy, store.create
    begun: list[float] = []
    ended: list[float] = []

    def watched_copy(source: str, target: str) -> None:
        begun.append(time.perf_counter())
        copy(source, target)

    def watched_create(key: str, data: bytes) -> bool:
        done = create(key, data)
        if key.endswith("saved_model.pb"):
            ended.append(time.perf_counter())
        return done

    store.copy, store.create = watched_copy, watched_create  # type: ignore[method-assign]
    publish(model, destination, store=store)
    print("half visible", ended[0] - begun[0])


def boto3_copy(model: str, url: str) -> None:
    """Uploads with boto3, as `peers/boto3_upload.py` does."""
    from peers.boto3_upload import upload

    bucket, prefix = url.removeprefix("s3://").split("/", 1)
    upload(model, bucket, prefix)


def stock_copy(model: str, url: str) -> None:
    """Copies as the stock Pusher does; prints how long that took without importing TensorFlow."""
    from peers.stock_pusher import push

    started = time.perf_counter()
    push(model, f"{url}/m/1")
    print("took", time.perf_counter() - started)


WORK = {
    "ours": ours,
    "staged": ours_staged,
    "boto3": boto3_copy,
    "stock": stock_copy,
}


def s3_environment(endpoint: str) -> dict[str, str]:
    """Returns what leads S3's clients to the loopback server."""
    return {
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }


def peak_megabytes() -> float:
    """Returns the most memory of this process; getrusage counts its parent's, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def child(name: str, model: str, url: str) -> None:
    """Runs one contender and prints seconds and MB."""
    started = time.perf_counter()
    WORK[name](model, url)
    seconds = time.perf_counter() - started
    print(seconds, peak_megabytes(), flush=True)
    os._exit(0)  # tensorflow-io's destructors abort an interpreter that has done its work.


def run(name: str, model: str, endpoint: str) -> tuple[float, float, float]:
    """Runs one contender in a process of its own.

    Returns:
      Seconds without start-up, MB, and the seconds for which half a version was visible.
    """
    url = f"s3://models/{name}{time.time_ns()}"
    done = subprocess.run(
        [PYTHONS.get(name, sys.executable), __file__, name, model, url],
        env={
            **os.environ,
            **({"PYTHONPATH": OVERLAYS[name]} if name in OVERLAYS else {}),
            **s3_environment(endpoint),
            "S3_ENDPOINT": endpoint,  # tensorflow-io's own; without http:// it speaks TLS.
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_USE_LEGACY_KERAS": "1",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    seconds, rss = map(float, lines[-1].split())
    said = dict(line.rsplit(" ", 1) for line in lines[:-1] if " " in line)
    # The import of TensorFlow is not the copy's fault.
    return float(said.get("took", seconds)), rss, float(said.get("half visible", 0))


def measure() -> Pushes:
    """Measures every contender, interleaved."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    sink = subprocess.Popen([sys.executable, str(HERE / "s3_sink.py"), str(port)])
    try:
        with tempfile.TemporaryDirectory() as directory:
            model = Path(directory) / "model"
            write_model(model)
            time.sleep(1)
            found: dict[str, list[tuple[float, float, float]]] = {}
            for round_ in range(ROUNDS):
                for name in ("ours", "boto3", "staged", "ours"):
                    found.setdefault(name, []).append(run(name, str(model), endpoint))
                if round_ == 0:
                    found["stock"] = [run("stock", str(model), endpoint)]
    finally:
        sink.terminate()
    pairs = [one[0] for one in found["ours"]]
    return Pushes(
        seconds={name: statistics.median(one[0] for one in runs) for name, runs in found.items()},
        megabytes={name: max(one[1] for one in runs) for name, runs in found.items()},
        floor=statistics.median(pairs[::2]) / statistics.median(pairs[1::2]),
        half_visible=statistics.median(one[2] for one in found["staged"]),
    )


def main() -> int:
    """Prints the table; returns the exit status."""
    found = measure()
    seconds = found.seconds
    for name in seconds:
        print(f"{name:8} {seconds[name]:7.2f} s, {found.megabytes[name]:.0f} MB")
    print(f"noise floor, ours against ours: {found.floor:.2f}")
    print(
        f"staging costs {seconds['staged'] - seconds['ours']:.2f} s; half a version is visible for "
        f"{found.half_visible:.2f} s (the stock copy: nearly all of its {seconds['stock']:.0f} s)"
    )
    speedup, to_boto3 = seconds["stock"] / seconds["ours"], seconds["ours"] / seconds["boto3"]
    figures = {
        f"at least {MIN_SPEEDUP} times as fast as the stock copy": speedup >= MIN_SPEEDUP,
        f"at most {MAX_TO_BOTO3} times boto3": to_boto3 <= MAX_TO_BOTO3,
        f"at most {MAX_RSS} MB": found.megabytes["ours"] <= MAX_RSS,
    }
    missed = [text for text, met in figures.items() if not met]
    print(f"stock / ours {speedup:.1f}, ours / boto3 {to_boto3:.2f}")
    for text in missed:
        print(f"MISSED: {text}", file=sys.stderr)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(child(*sys.argv[1:]) if len(sys.argv) > 1 else main())
