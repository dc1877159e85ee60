"""`tfx-shrink push | versions | verify | promote | rollback | retain`."""

import dataclasses
import logging
import sys
from collections.abc import Callable
from typing import Any

import click

from tfx_shrink.commands.output import json_option, print_json, print_table, quietly
from tfx_shrink.errors import ParameterError


def _bucket(function: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments that every command about a bucket takes."""
    name = click.option("--model-name", required=True, help="What TensorFlow Serving calls it.")
    return click.argument("url")(name(json_option(function)))


_settle = click.option(
    "--settle-seconds",
    type=click.FloatRange(min=0),
    help="Mode pinned: how long servers may take to read models.config. Default: 60.",
)


@click.command(epilog="Example: tfx-shrink push model_int8 s3://models/prod --model-name digits")
@click.argument("model_dir")
@_bucket
@click.option("--mode", default="latest", show_default=True, help="Or pinned, by models.config.")
@click.option("--label", default="stable", show_default=True, help="Or canary; mode pinned only.")
@click.option(
    "--versioning", default="monotonic", show_default=True, help="Or timestamp, or a number."
)
@_settle
@click.option(
    "--transport",
    default="plain",
    show_default=True,
    help="Or zstd: stored compressed, for `tfx-shrink pull`; not on file:// and gs://.",
)
def push(
    model_dir: str,
    url: str,
    model_name: str,
    as_json: bool,
    mode: str,
    label: str,
    versioning: str,
    settle_seconds: float | None,
    transport: str,
) -> None:
    """Publish the model in MODEL_DIR below URL; a server sees the version whole or not at all."""
    from tfx_shrink.bucket_pusher.publish import publish

    destination = _destination(url, model_name)
    done = quietly(
        lambda: publish(
            model_dir,
            destination,
            mode=mode,
            label=label,
            versioning=versioning,
            settle_seconds=settle_seconds,
            transport=transport,
        )
    )
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    word = "published" if done.new else "already there"
    click.echo(f"{word}: {done.url} ({done.bytes:,} bytes)")


@click.command(epilog="Example: tfx-shrink versions s3://models/prod --model-name digits")
@_bucket
def versions(url: str, model_name: str, as_json: bool) -> None:
    """List the versions of a model below URL, the highest first."""
    from tfx_shrink.bucket_pusher.versions import versions as list_versions

    found = list_versions(_destination(url, model_name))
    if as_json:
        print_json([dataclasses.asdict(item) for item in found])
        return
    rows = [
        (
            str(item.version),
            item.state,
            f"{item.bytes:,}",
            str(item.files),
            ", ".join(item.labels),
            item.digest[:12],
            item.published_at[:19],
        )
        for item in found
    ]
    if not found:
        raise click.ClickException(f"No version of {model_name} at {url}. {_models_at(url)}")
    print_table(("version", "state", "bytes", "files", "labels", "digest", "published (UTC)"), rows)


@click.command(
    epilog="Example: tfx-shrink verify s3://models/prod --model-name digits --version 7",
)
@_bucket
@click.option("--version", type=int, help="Default: those that servers load.")
def verify(url: str, model_name: str, as_json: bool, version: int | None) -> None:
    """Read versions back and compare every byte with what was published; exit code 1 if not."""
    from tfx_shrink.bucket_pusher.versions import verify as verify_versions

    found = verify_versions(_destination(url, model_name), version)
    if as_json:
        print_json([dataclasses.asdict(item) for item in found])
    else:
        for item in found:
            word = "damaged" if item.problems else "whole"
            click.echo(f"{item.version}: {word}, {item.files} files, {item.bytes:,} bytes")
            for problem in item.problems:
                click.echo(f"  {problem}")
    if any(item.problems for item in found):
        raise click.exceptions.Exit(1)


@click.command(
    epilog="Example: tfx-shrink promote s3://models/prod --model-name digits"
    " --watch http://prometheus:9090",
)
@_bucket
@click.option("--address", help="First wait until TensorFlow Serving there serves the canary.")
@click.option("--timeout-seconds", default=600.0, show_default=True, help="When to give up.")
@click.option(
    "--watch", "prometheus_url", help="Prometheus: promote only what it shows to be good."
)
@click.option("--watch-seconds", type=float, help="For how long. Default: 600.")
@click.option("--max-error-increase", type=float, help="Share of requests. Default: 0.01.")
@click.option("--max-latency-ratio", type=float, help="p99 against stable's. Default: 1.5.")
@click.option("--min-requests", type=int, help="Fewer are not compared. Default: 1000.")
@click.option("--namespace", help="Of the pods. Default: any.")
def promote(
    url: str,
    model_name: str,
    as_json: bool,
    address: str | None,
    timeout_seconds: float,
    prometheus_url: str | None,
    namespace: str | None,
    **bounds: float | None,
) -> None:
    """Make the label stable name what canary names, in URL/models.config.

    ADDRESS is host:port of gRPC, or http://host:port of REST; all pods behind a name are asked.

    With --watch the canary is watched first, and taken back with exit code 1 if it fails more often
    or is slower than stable, or had too few requests to tell.
    """
    destination = _destination(url, model_name)
    served: dict[str, Any] = {"address": address, "timeout_seconds": timeout_seconds}
    given = {name: value for name, value in bounds.items() if value is not None}
    if prometheus_url is not None:
        watch = {"namespace": namespace, **served}
        _promote_watched(destination, prometheus_url, given, watch, as_json)
        return
    if given or namespace:
        name = next(iter(given), "namespace").replace("_", "-")
        raise ParameterError(f"--{name} belongs to --watch. Give the URL of Prometheus, too.")
    from tfx_shrink.bucket_pusher.release import promote as promote_canary

    _print_labels(promote_canary(destination, **served), as_json)


def _promote_watched(
    destination: Any,
    prometheus_url: str,
    bounds: dict[str, Any],
    watch: dict[str, Any],
    as_json: bool,
) -> None:
    from tfx_shrink.serving.canary import promote_watched
    from tfx_shrink.serving.canary_rule import Rule

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    outcome = promote_watched(destination, prometheus_url, rule=Rule(**bounds), **watch)
    if as_json:
        print_json(dataclasses.asdict(outcome))
    elif outcome.promoted:
        click.echo(f"canary {outcome.version} was promoted: {outcome.reason}")
        _print_labels(outcome.labels, as_json=False)
    else:
        click.echo(f"canary {outcome.version} was taken back: {outcome.reason}", err=True)
    if not outcome.promoted:
        raise click.exceptions.Exit(1)


def _print_labels(labels: dict[str, int], as_json: bool) -> None:
    if as_json:
        print_json(labels)
        return
    print_table(
        ("label", "version"), [(label, str(number)) for label, number in sorted(labels.items())]
    )


@click.command(epilog="Example: tfx-shrink rollback s3://models/prod --model-name digits")
@_bucket
@click.option("--version", type=int, help="Default: what was served before.")
@_settle
def rollback(
    url: str, model_name: str, as_json: bool, version: int | None, settle_seconds: float | None
) -> None:
    """Serve an older version again: by its label, or as a new and higher version."""
    from tfx_shrink.bucket_pusher.release import rollback as roll_back
    from tfx_shrink.bucket_pusher.versions import versions as list_versions

    destination = _destination(url, model_name)
    done = roll_back(destination, version, settle_seconds=settle_seconds)
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    same = [
        item.version
        for item in list_versions(destination)
        if done.digest and item.digest == done.digest and item.version != done.version
    ]
    click.echo(f"served: {done.url}" + (f", the same as version {min(same)}" if same else ""))


@click.command(
    epilog="Example: tfx-shrink retain s3://models/prod --model-name digits --keep 3 --dry-run"
)
@_bucket
@click.option("--keep", type=int, required=True, help="How many of the highest versions stay.")
@click.option("--dry-run", is_flag=True, help="Say only what would be removed.")
def retain(url: str, model_name: str, as_json: bool, keep: int, dry_run: bool) -> None:
    """Remove old versions, never one that may be served, and what dead pushes left."""
    from tfx_shrink.bucket_pusher.retain import retain as retain_versions

    done = retain_versions(_destination(url, model_name), keep, dry_run=dry_run)
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    word = "would go" if dry_run else "gone"
    rows = [
        *((str(number), "stays") for number in reversed(done.kept)),
        *((str(number), word) for number in reversed(done.removed)),
        *((name, f"left by a dead push, {word}") for name in done.leftovers),
    ]
    print_table(("version", "what"), rows)


COMMANDS = (push, versions, verify, promote, rollback, retain)


def _models_at(url: str) -> str:
    from tfx_shrink.bucket_pusher import models_config
    from tfx_shrink.bucket_pusher.stores import open_store

    children = open_store(_destination(url, "any")).children("")
    found = [name for name in children if name[0] not in "_." and name != models_config.KEY]
    return f"The models there are {found}." if found else "There is no model at all."


def _destination(url: str, model_name: str) -> Any:
    from tfx_shrink.bucket_pusher.destination import parse_destination

    return parse_destination(url, model_name)
