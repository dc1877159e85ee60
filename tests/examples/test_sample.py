"""What `sample_rows` promises: a seeded uniform sample that no runner changes."""

import collections

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from support import rows

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.sample import sample_rows

SHARDS = (400, 1, 0, 599)


def row(number):
    return rows.example(number=number)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A thousand different rows in uneven shards, one of them empty, every other one gzipped."""
    root = tmp_path_factory.mktemp("shards")
    first = 0
    for index, count in enumerate(SHARDS):
        numbers = range(first, first + count)
        first += count
        rows.write_serialized(root / f"rows-{index}", map(row, numbers), gzip=index % 2 == 1)
    return str(root / "rows-*")


def four_threads():
    options = ["--direct_running_mode=multi_threading", "--direct_num_workers=4"]
    return beam.Pipeline(options=PipelineOptions(options))


def test_workers_change_neither_the_rows_nor_their_order(shards):
    drawn = sample_rows([shards], 100, seed=3).rows
    assert sample_rows([shards], 100, seed=3, make_pipeline=four_threads).rows == drawn


def test_another_seed_draws_another_sample(shards):
    first, second = (set(sample_rows([shards], 100, seed=seed).rows) for seed in (1, 2))
    # Independent samples of 100 out of 1,000 have 10 in common, give or take 3.
    assert 1 <= len(first & second) <= 25


def test_no_row_is_drawn_twice(shards):
    drawn = sample_rows([shards, shards.replace("*", "0"), shards], 900, seed=0).rows
    assert len(drawn) == len(set(drawn)) == 900


@pytest.mark.parametrize("asked", [sum(SHARDS), 10_000])
def test_all_rows_are_returned_when_more_are_asked_for(shards, asked):
    drawn = sample_rows([shards], asked, seed=0).rows
    assert sorted(drawn) == sorted(map(row, range(sum(SHARDS))))


def test_any_part_of_the_sample_is_spread_over_all_files(shards):
    # The first rows calibrate and the last ones prove: neither may come from one end of the data.
    drawn = sample_rows([shards], 1000, seed=0).rows
    last_shard = {row(number) for number in range(sum(SHARDS[:-1]), sum(SHARDS))}
    for part in (drawn[:200], drawn[-200:]):
        assert 90 <= sum(item in last_shard for item in part) <= 150  # 120 expected, deviation 6.


def test_every_row_is_equally_likely(tmp_path):
    numbers = {row(number): number for number in range(10_000)}
    serialized = list(numbers)
    rows.write_serialized(tmp_path / "rows-0", serialized[:2_000])
    rows.write_serialized(tmp_path / "rows-1", serialized[2_000:])
    drawn = sample_rows([str(tmp_path / "rows-*")], 2_000, seed=5).rows
    blocks = collections.Counter(numbers[item] // 500 for item in drawn)
    chi_square = sum((blocks[block] - 100) ** 2 / 100 for block in range(20))
    assert chi_square < 43.8  # 0.999 quantile for 19 degrees of freedom; too large by 1 / 0.8.


def test_the_choice_in_one_file_says_nothing_of_the_next(tmp_path):
    places = {}
    for file in range(2):
        numbers = range(file * 1_000, file * 1_000 + 1_000)
        path = rows.write_serialized(tmp_path / f"rows-{file}", map(row, numbers))
        places.update({row(number): (path, number % 1_000) for number in numbers})
    drawn = [places[item] for item in sample_rows([str(tmp_path / "rows-*")], 400, seed=0).rows]
    twice = len(drawn) - len({index for _, index in drawn})
    assert 20 <= twice <= 60  # 40 expected, deviation 5.


def test_equal_rows_are_drawn_as_often_as_they_occur(tmp_path):
    rare = {row(number) for number in range(1, 101)}
    serialized = [row(0)] * 9_900
    for index, item in enumerate(sorted(rare)):
        serialized.insert(index * 99, item)
    rows.write_serialized(tmp_path / "rows", serialized)
    drawn = sample_rows([str(tmp_path / "rows")], 1_000, seed=0).rows
    assert len(drawn) == 1_000
    assert 3 <= sum(item in rare for item in drawn) <= 20  # 10 expected, deviation 3.


def test_files_without_rows_are_refused(tmp_path):
    rows.write_serialized(tmp_path / "plain", [])
    rows.write_serialized(tmp_path / "packed", [], gzip=True)
    with pytest.raises(ExamplesError, match=r"no row in .*\*"):
        sample_rows([str(tmp_path / "*")], 10, seed=0)


def test_a_pattern_without_files_is_named(tmp_path):
    with pytest.raises(ExamplesError, match=r"No file matches .*Split-trian"):
        sample_rows([str(tmp_path / "Split-trian" / "*")], 10, seed=0)


def test_rows_go_through_the_directory_that_workers_can_write_to(shards, tmp_path):
    assert len(sample_rows([shards], 5, seed=0, temp_dir=str(tmp_path / "new")).rows) == 5
    assert list((tmp_path / "new").iterdir())


@pytest.mark.parametrize(
    ("names", "from_transform"),
    [
        (["transformed_examples-00000-of-00001.gz"], True),
        (["data_tfrecord-00000-of-00001.gz"], False),
        (["transformed_examples-00000-of-00001.gz", "data_tfrecord-00000-of-00001.gz"], False),
    ],
)
def test_only_files_named_as_transform_names_them_are_its_output(tmp_path, names, from_transform):
    for name in names:
        rows.write_serialized(tmp_path / "transformed_examples" / name, [row(0)], gzip=True)
    drawn = sample_rows([str(tmp_path / "transformed_examples" / "*")], 1, seed=0)
    assert drawn.from_transform is from_transform
