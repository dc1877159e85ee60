"""Measures every recipe on every model, ours and others', and writes one table.

Each model is trained, made smaller and judged in processes of its own, in random order; times are
taken afterwards, with nothing else running, two copies of each model, interleaved. What was
measured stays in build/table, so that a run that was stopped goes on where it was while the code is
the same; `--fresh` begins again. Prints the tables; a whole run writes
benchmarks/results/table.json and the pages that show it, a quick one a table.json below
build/table-quick.

    .venv/bin/python benchmarks/table.py [--quick] [--fresh]
"""

import argparse
import concurrent.futures
import dataclasses
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import bucket_pusher
from table_models import CNN, MLP, MODELS, data_of
from table_pages import RESULT, markdown, write_pages
from table_recipes import recipes_for

from tfx_shrink.child_process import how_it_ended, run_child
from tfx_shrink.efficiency_validator.opened import as_served, open_model, same_question
from tfx_shrink.errors import ModelError
from tfx_shrink.examples.files import read_rows
from tfx_shrink.examples.sample import Sample
from tfx_shrink.measure.loading import Loading, measure_loading
from tfx_shrink.measure.machine import describe_machine
from tfx_shrink.measure.runtime import ServedModel
from tfx_shrink.measure.timing import run_models

HERE = Path(__file__).resolve().parent
SEEDS, QUICK_SEEDS = (1, 2, 3), (1,)
QUICK_MODELS = (CNN, MLP)
BATCHES = (1, 32)
ROUNDS = 60
_CELL_SECONDS = 3600
_AT_ONCE = 2
# Served as they are, and the first of each kind is what the others are timed against.
_BASELINES = ("strip", "float32")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is measured, and where.

    Attributes:
      root: Directory of models and of what was measured.
      models: The models' names.
      seeds: Seeds that each is trained with; one where quality means nothing.
      quick: Whether to leave most recipes out.
    """

    root: Path
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    quick: bool

    def home(self, model: str) -> Path:
        """Where a model and what is made of it lie."""
        return self.root / _file_name(model)

    def made(self, model: str, seed: int, recipe: str) -> Path:
        """Where one result lies."""
        return self.home(model) / str(seed) / _file_name(recipe)

    def cells(self) -> list[tuple[str, int, str]]:
        """Every model, seed and recipe."""
        return [
            (model, seed, recipe)
            for model in self.models
            for seed in self.seeds[: None if data_of(model, "").label_key else 1]
            for recipe in recipes_for(model, self.quick)
        ]


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def _record(path: Path, value: Any) -> None:
    """Writes what was measured, at once."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value))
    partial.rename(path)


def run_cell(plan: Plan, task: str, model: str, seed: int, *rest: str) -> dict[str, Any]:
    """Runs one cell in a process of its own; tells what it printed and its peak memory."""
    home = str(plan.home(model))
    command = [sys.executable, str(HERE / "table_cell.py"), task, model, str(seed), home, *rest]
    try:
        run = run_child(command, time_limit=_CELL_SECONDS)
    except subprocess.SubprocessError as error:
        called = f"{model}, seed {seed}, {', '.join(rest[:1]) or task}"
        raise SystemExit(how_it_ended(error, called)) from error
    return {**json.loads(run.output.splitlines()[-1]), "peak_bytes": run.peak_bytes}


def train_model(plan: Plan, model: str, seed: int) -> None:
    """Trains a model, unless that was done."""
    base = plan.home(model) / str(seed) / "base"
    if not (base.parent / "trained").exists():
        shutil.rmtree(base, ignore_errors=True)
        run_cell(plan, "train", model, seed)
        (base.parent / "trained").touch()


def make_result(plan: Plan, model: str, seed: int, recipe: str) -> dict[str, Any]:
    """Makes one result, unless that was done; returns what was measured of it."""
    out = plan.made(model, seed, recipe)
    record = out.with_suffix(".json")
    if not record.exists():
        shutil.rmtree(out, ignore_errors=True)
        _record(record, run_cell(plan, "make", model, seed, recipe, str(out)))
    return json.loads(record.read_text())


def time_results(plan: Plan, model: str, recipes: list[str]) -> dict[str, Any]:
    """Times and loads what was made of a model's first seed; TFLite and SavedModels apart."""
    record = plan.home(model) / "times.json"
    if record.exists():
        known = json.loads(record.read_text())
        if known.keys() == set(recipes):
            return known
    data = data_of(model, str(plan.home(model)))
    sample = Sample(list(read_rows(data.test))[:64], from_transform=False)
    base = open_model(str(plan.home(model) / str(plan.seeds[0]) / "base"))
    groups: dict[str, dict[str, Any]] = {"SavedModel": {}, "TFLite": {}}
    rows: dict[str, Any] = {}
    for number, recipe in enumerate(recipes):
        opened = open_model(str(plan.made(model, plan.seeds[0], recipe)))
        question = same_question(opened, base, sample, transform_graph=data.graph, schema=None)
        work = plan.home(model) / "served" / str(number)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        served = as_served(opened, question.model, str(work))
        groups["SavedModel" if opened.tflite is None else "TFLite"][recipe] = served
        rows.update(question.rows)
    found: dict[str, Any] = {}
    for group in groups.values():
        ordered = dict(sorted(group.items(), key=lambda item: item[0] not in _BASELINES))
        for size, by_recipe in run_models(
            ordered,
            rows,
            batch_sizes=BATCHES,
            threads=1,
            rounds=ROUNDS,
            seed=0,
            time_limit=_CELL_SECONDS,
        ).timings.items():
            for recipe, timing in by_recipe.items():
                found.setdefault(recipe, {}).setdefault("times", {})[size] = dataclasses.asdict(
                    timing
                )
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            for recipe, loading in zip(ordered, pool.map(_load, ordered.values()), strict=True):
                found[recipe]["loading"] = dataclasses.asdict(loading)
    _record(record, found)
    return found


def _load(served: ServedModel) -> Loading:
    return measure_loading(served.path, time_limit=_CELL_SECONDS)


def make_all(plan: Plan) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Makes every result, with progress on standard error; returns them by model and recipe."""
    cells = plan.cells()
    random.Random(0).shuffle(cells)
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        for model in plan.models:  # The first seed writes the rows.
            train_model(plan, model, plan.seeds[0])
        list(pool.map(lambda one: train_model(plan, *one), {cell[:2] for cell in cells}))
        futures = {pool.submit(make_result, plan, *cell): cell for cell in cells}
        try:
            for number, future in enumerate(concurrent.futures.as_completed(futures), 1):
                model, seed, recipe = futures[future]
                found.setdefault(model, {}).setdefault(recipe, []).append(
                    {"seed": seed, **future.result()}
                )
                print(f"{number}/{len(cells)} {model}, seed {seed}: {recipe}", file=sys.stderr)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def measure(plan: Plan) -> dict[str, Any]:
    """Measures everything."""
    plan.root.mkdir(parents=True, exist_ok=True)
    found = make_all(plan)
    lines = []
    for model in plan.models:
        refused = {
            recipe: [seed["refused"] for seed in seeds if "refused" in seed]
            for recipe, seeds in found[model].items()
        }
        recipes = recipes_for(model, plan.quick)
        try:
            timed = time_results(plan, model, [name for name in recipes if not refused[name]])
        except ModelError as error:
            raise SystemExit(f"{model}: {error}") from error
        for recipe in recipes:
            line = {"model": model, "recipe": recipe, "seeds": [], "times": {}, "loading": None}
            if refused[recipe]:
                lines.append({**line, "refused": refused[recipe][0]})
                continue
            seeds = sorted(found[model][recipe], key=lambda one: one["seed"])
            lines.append({**line, "refused": None, "seeds": seeds, **timed[recipe]})
    return {
        "quick": plan.quick,
        "machine": dataclasses.asdict(describe_machine()),
        "lines": lines,
        "pushes": None if plan.quick else measure_pushes(plan),
    }


def measure_pushes(plan: Plan) -> dict[str, Any]:
    """Measures pushes, unless that was done."""
    record = plan.root / "pushes.json"
    if not record.exists():
        _record(record, dataclasses.asdict(bucket_pusher.measure()))
    return json.loads(record.read_text())


def code_digest() -> str:
    """Returns a few letters that stand for the code that measures and is measured."""
    digest = hashlib.sha256()
    for folder in ("benchmarks", "components", "pipelines"):
        for path in sorted((HERE.parent / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(HERE.parent)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    asked = parser.parse_args()
    # What other code measured is no part of this table.
    root = HERE.parent / "build" / ("table-quick" if asked.quick else "table") / code_digest()
    if asked.fresh:
        shutil.rmtree(root, ignore_errors=True)
    models = QUICK_MODELS if asked.quick else tuple(MODELS)
    plan = Plan(root, models, QUICK_SEEDS if asked.quick else SEEDS, asked.quick)
    # What was read back as JSON is written alike.
    table = json.loads(json.dumps(measure(plan)))
    result = root / "table.json" if asked.quick else RESULT
    result.parent.mkdir(exist_ok=True)
    result.write_text(json.dumps(table, indent=1) + "\n")
    print(markdown(table))
    if not asked.quick:
        write_pages(table)


if __name__ == "__main__":
    main()
