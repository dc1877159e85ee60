"""Measures every recipe on every model, ours and others', and writes one table.

Each model is trained, made smaller and judged in processes of its own, in random order; times are
taken afterwards, with nothing else running, two copies of each model, interleaved. What was
measured stays in build/table, so that a run that was stopped goes on where it was; `--fresh` begins
again. Prints the tables; a whole run writes benchmarks/results/table.json and the pages that show
it, a quick one build/table-quick/table.json.

    .venv/bin/python benchmarks/table.py [--quick] [--fresh]
"""

import argparse
import concurrent.futures
import dataclasses
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

from tfx_shrink.child_process import run_child
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
        return self.root / "".join(letter if letter.isalnum() else "-" for letter in model)

    def made(self, model: str, seed: int, recipe: str) -> Path:
        """Where one result lies."""
        name = "".join(letter if letter.isalnum() else "-" for letter in recipe)
        return self.home(model) / str(seed) / name

    def cells(self) -> list[tuple[str, int, str]]:
        """Every model, seed and recipe."""
        return [
            (model, seed, recipe)
            for model in self.models
            for seed in self.seeds[: None if data_of(model, "").label_key else 1]
            for recipe in recipes_for(model, self.quick)
        ]


def cell(plan: Plan, task: str, model: str, seed: int, *rest: str) -> dict[str, Any]:
    """Runs one cell in a process of its own."""
    home = str(plan.home(model))
    command = [sys.executable, str(HERE / "table_cell.py"), task, model, str(seed), home, *rest]
    try:
        run = run_child(command, time_limit=_CELL_SECONDS)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{model}, seed {seed}, {rest[:1]}: {error.stderr[-2000:]}") from error
    return {**json.loads(run.output.splitlines()[-1]), "peak_bytes": run.peak_bytes}


def train(plan: Plan, model: str, seed: int) -> None:
    """Trains a model, unless that was done."""
    base = plan.home(model) / str(seed) / "base"
    if not (base.parent / "trained").exists():
        shutil.rmtree(base, ignore_errors=True)
        cell(plan, "train", model, seed)
        (base.parent / "trained").touch()


def make(plan: Plan, model: str, seed: int, recipe: str) -> dict[str, Any]:
    """Makes one result, unless that was done; returns what was measured of it."""
    out = plan.made(model, seed, recipe)
    record = out.with_suffix(".json")
    if not record.exists():
        shutil.rmtree(out, ignore_errors=True)
        found = cell(plan, "make", model, seed, recipe, str(out))
        partial = record.with_suffix(".partial")
        partial.write_text(json.dumps(found))
        partial.rename(record)
    return json.loads(record.read_text())


def run(plan: Plan, model: str, recipes: list[str]) -> dict[str, Any]:
    """Times and loads what was made of a model's first seed; TFLite and SavedModels apart."""
    record = plan.home(model) / "run.json"
    if record.exists():
        return json.loads(record.read_text())
    data = data_of(model, str(plan.home(model)))
    sample = Sample(list(read_rows(data.test))[:64], from_transform=False)
    base = open_model(str(plan.home(model) / str(plan.seeds[0]) / "base"))
    groups: dict[str, dict[str, Any]] = {"SavedModel": {}, "TFLite": {}}
    rows: dict[str, Any] = {}
    for recipe in recipes:
        opened = open_model(str(plan.made(model, plan.seeds[0], recipe)))
        question = same_question(opened, base, sample, transform_graph=data.graph, schema=None)
        work = plan.home(model) / "served" / str(len(rows) + sum(map(len, groups.values())))
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
    record.write_text(json.dumps(found))
    return found


def _load(served: ServedModel) -> Loading:
    return measure_loading(served.path, time_limit=_CELL_SECONDS)


def measure(plan: Plan) -> dict[str, Any]:
    """Measures everything, with progress on standard error."""
    plan.root.mkdir(parents=True, exist_ok=True)
    cells = plan.cells()
    random.Random(0).shuffle(cells)
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        for model in plan.models:  # The first seed writes the rows.
            train(plan, model, plan.seeds[0])
        list(pool.map(lambda one: train(plan, *one), {cell[:2] for cell in cells}))
        futures = {pool.submit(make, plan, *one): one for one in cells}
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
    lines = []
    for model in plan.models:
        recipes = recipes_for(model, plan.quick)
        made = [
            name for name in recipes if not any("refused" in seed for seed in found[model][name])
        ]
        try:
            ran = run(plan, model, made)
        except ModelError as error:
            raise SystemExit(f"{model}: {error}") from error
        for recipe in recipes:
            seeds = sorted(found[model][recipe], key=lambda one: one["seed"])
            nothing = {"times": {}, "loading": None}
            lines.append(
                {"model": model, "recipe": recipe, "seeds": seeds, **ran.get(recipe, nothing)}
            )
    return {
        "quick": plan.quick,
        "machine": dataclasses.asdict(describe_machine()),
        "lines": lines,
        "pushes": None if plan.quick else push(plan),
    }


def push(plan: Plan) -> dict[str, Any]:
    """Measures pushes, unless that was done."""
    record = plan.root / "pushes.json"
    if not record.exists():
        record.write_text(json.dumps(dataclasses.asdict(bucket_pusher.measure())))
    return json.loads(record.read_text())


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    asked = parser.parse_args()
    root = HERE.parent / "build" / ("table-quick" if asked.quick else "table")
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
