"""Thresholds against what was measured: met, missed, or not decidable."""

import dataclasses
from collections.abc import Iterator, Mapping

from tfx_shrink.efficiency_validator.settings import Settings, Thresholds
from tfx_shrink.efficiency_validator.stage import Stage
from tfx_shrink.measure.quality import Drop
from tfx_shrink.measure.timing import Timing

MET, MISSED, NOT_DECIDABLE = "met", "missed", "not decidable"


@dataclasses.dataclass(frozen=True)
class Check:
    """One threshold.

    Attributes:
      name: What was asked for, such as `"min_speedup"`.
      verdict: `MET`, `MISSED` or `NOT_DECIDABLE`; only the first blesses.
      required: What it should be.
      measured: What it is.
      advice: How to decide it, or what to do; may be empty.
    """

    name: str
    verdict: str
    required: str
    measured: str
    advice: str = ""

    def __str__(self) -> str:
        text = f"{self.name} {self.verdict}: required {self.required}, measured {self.measured}"
        return f"{text}. {self.advice}" if self.advice else text


def failed_check(name: str, required: str, reason: str) -> Check:
    """Returns what a model that could not be measured gets."""
    return Check(name, MISSED, required, reason)


def check_model(
    model: Stage,
    baseline: Stage,
    drops: Mapping[str, Drop],
    thresholds: Thresholds,
    settings: Settings,
) -> list[Check]:
    """Checks everything that was asked for.

    Args:
      model: The model as it was measured.
      baseline: The baseline.
      drops: The drop of quality on all rows (`""`) and by slice.
      thresholds: What is asked for.
      settings: How it was measured.

    Returns:
      One check for each threshold, and for each batch size or slice where there are several.
    """
    return [
        *check_files(model, baseline, thresholds),
        *(
            check
            for size, timing in model.timings.items()
            for check in _check_time(size, timing, thresholds, settings)
        ),
        *_check_difference(model, thresholds),
        *_check_quality(drops, thresholds, settings),
    ]


def check_files(model: Stage, baseline: Stage, thresholds: Thresholds) -> list[Check]:
    """Checks what files alone tell, also of a model that does not run.

    Args:
      model: The model as it was measured.
      baseline: The baseline.
      thresholds: What is asked for.

    Returns:
      One check for each threshold of bytes and zeros.
    """
    return [*_check_size(model, baseline, thresholds), *_check_share(model, thresholds)]


def _check_size(model: Stage, baseline: Stage, thresholds: Thresholds) -> Iterator[Check]:
    if thresholds.max_bytes is not None:
        held = model.size.raw <= thresholds.max_bytes
        yield Check(
            "max_bytes",
            MET if held else MISSED,
            f"at most {thresholds.max_bytes:,} bytes",
            f"{model.size.raw:,} bytes",
        )
    if thresholds.min_size_ratio is not None:
        ratio = baseline.size.raw / model.size.raw
        yield Check(
            "min_size_ratio",
            MET if ratio >= thresholds.min_size_ratio else MISSED,
            f"at least {thresholds.min_size_ratio:g} times smaller",
            f"{ratio:.3g} times ({baseline.size.raw:,} to {model.size.raw:,} bytes)",
        )


def _check_time(
    size: int, timing: Timing, thresholds: Thresholds, settings: Settings
) -> Iterator[Check]:
    where = f"at batch size {size}, {settings.threads} thread(s)"
    for percentile, limit in thresholds.latency_limits(size).items():
        low, high = timing.bounds[percentile]
        verdict = _side(low, high, limit)
        yield Check(
            f"max_latency_ms {percentile}",
            verdict,
            f"at most {limit:g} ms {where}",
            f"{getattr(timing, percentile):.3g} ms [{low:.3g}, {high:.3g}]",
            _quieter(settings) if verdict == NOT_DECIDABLE else "",
        )
    if thresholds.min_speedup is not None and timing.speedup is not None:
        found = timing.speedup
        verdict = _side(-found.high, -found.low, -thresholds.min_speedup)
        yield Check(
            "min_speedup",
            verdict,
            f"at least {thresholds.min_speedup:g} times as fast {where}",
            f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}], noise floor {found.floor:.1%}",
            _quieter(settings) if verdict == NOT_DECIDABLE else "",
        )


def _check_share(model: Stage, thresholds: Thresholds) -> Iterator[Check]:
    if thresholds.min_sparsity is not None:
        held = model.sparsity >= thresholds.min_sparsity
        yield Check(
            "min_sparsity",
            MET if held else MISSED,
            f"at least {thresholds.min_sparsity:.1%} zeros",
            f"{model.sparsity:.1%}",
        )


def _check_difference(model: Stage, thresholds: Thresholds) -> Iterator[Check]:
    limit = thresholds.max_output_difference
    if limit is None:
        return
    required = f"at most {limit:g}"
    if model.difference is None:
        yield Check("max_output_difference", NOT_DECIDABLE, required, "no output holds numbers")
        return
    yield Check(
        "max_output_difference",
        MET if model.difference.max <= limit else MISSED,
        required,
        f"{model.difference.max:.4g} on {model.difference.rows} rows",
    )


def _check_quality(
    drops: Mapping[str, Drop], thresholds: Thresholds, settings: Settings
) -> Iterator[Check]:
    limit = thresholds.max_quality_drop
    if limit is None:
        return
    for where, drop in drops.items():
        verdict = _side(drop.low, drop.high, limit)
        yield Check(
            f"max_quality_drop {where}".strip(),
            verdict,
            f"{settings.metric} at most {limit:g} worse than the baseline",
            f"{_sign(drop.value)}, {_sign(drop.low)} to {_sign(drop.high)}, on {drop.rows} rows",
            _more_rows(drop, limit) if verdict == NOT_DECIDABLE else "",
        )


def _sign(drop: float) -> str:
    return f"{drop:.4g} worse" if drop >= 0 else f"{-drop:.4g} better"


def _side(low: float, high: float, limit: float) -> str:
    """On which side of an upper limit an interval lies; NaN lies on none."""
    if high <= limit:
        return MET
    return MISSED if low > limit else NOT_DECIDABLE


def _more_rows(drop: Drop, limit: float) -> str:
    needed = drop.rows_needed(limit)
    about = "too few to say how many are needed" if needed is None else f"about {needed:,} needed"
    return f"Not decidable with {drop.rows:,} examples, {about}"


def _quieter(settings: Settings) -> str:
    return (
        "The threshold lies within what this machine can tell: measure on a quieter one, or with "
        f"more than rounds={settings.rounds} (p99 needs most), or ask for a value further away"
    )
