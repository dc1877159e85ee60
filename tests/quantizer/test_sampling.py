"""Which rows calibrate and which prove."""

import numpy as np
import pytest
from support import models, rows

from tfx_shrink.lineage import read
from tfx_shrink.quantizer.quantize import quantize


@pytest.fixture
def ask(conversions, saved, tmp_path):
    """Quantizes by a converter that always succeeds; returns the rows it got and the record."""

    def run(count, **parameters):
        # Every row holds its own number in each element.
        x = np.repeat(np.arange(count, dtype=np.float32)[:, None], models.WIDTH, axis=1)
        examples = rows.write(tmp_path / "rows" / str(count), {"x": x})
        out = str(tmp_path / f"out{len(conversions)}")
        parameters = {"scheme": "int8", **parameters}
        quantize(saved("keras"), out, examples=[examples], **parameters)
        calibration, proof = (
            [] if not conversions[-1][key] else conversions[-1][key]["x"][:, 0].astype(int).tolist()
            for key in ("calibration", "proof")
        )
        return calibration, proof, read(out)[0]

    return run


def test_a_quarter_more_rows_are_drawn_for_the_proof(ask):
    calibration, proof, step = ask(200, num_calibration_examples=80)
    assert (len(calibration), len(proof)) == (80, 20)
    assert step["calibration_rows"] == 80
    assert not any("fewer" in note for note in step["notes"])


@pytest.mark.parametrize(("count", "wanted"), [(200, 80), (200, 3), (100, 1000), (5, 10), (2, 10)])
def test_no_row_both_calibrates_and_proves(ask, count, wanted):
    calibration, proof, _ = ask(count, num_calibration_examples=wanted)
    assert calibration
    assert proof
    assert not set(calibration) & set(proof)
    assert len(set(calibration)) == len(calibration)
    assert len(set(proof)) == len(proof)


def test_one_fifth_proves_where_rows_are_few_and_the_record_says_so(ask):
    calibration, proof, step = ask(50, num_calibration_examples=1000)
    assert (len(calibration), len(proof)) == (40, 10)
    assert step["calibration_rows"] == 40
    assert "Calibrated on 40 rows, fewer than the 1000 asked for." in step["notes"]


def test_only_row_does_both_and_is_counted(ask):
    calibration, proof, step = ask(1, num_calibration_examples=1000)
    assert (calibration, proof) == ([0], [0])
    assert step["calibration_rows"] == 1
    assert "Calibrated on 1 rows, fewer than the 1000 asked for." in step["notes"]


@pytest.mark.parametrize("scheme", ["float32", "float16", "dynamic_range"])
def test_scheme_without_calibration_calibrates_on_nothing(ask, scheme):
    calibration, proof, step = ask(50, scheme=scheme, num_calibration_examples=1000)
    assert calibration == []
    assert len(proof) == 10
    assert step["calibration_rows"] == 0
    assert not any("fewer" in note for note in step["notes"])


def test_seed_chooses_the_rows(ask):
    first = ask(200, num_calibration_examples=20, seed=0)[:2]
    assert ask(200, num_calibration_examples=20, seed=0)[:2] == first
    assert ask(200, num_calibration_examples=20, seed=1)[:2] != first


def test_rows_come_from_all_files(conversions, saved, tmp_path):
    for part in range(3):
        x = np.full([20, models.WIDTH], part, np.float32)
        rows.write(tmp_path / "rows" / f"part-{part}.gz", {"x": x}, gzip=True)
    quantize(
        saved("keras"),
        str(tmp_path / "out"),
        scheme="int8",
        examples=[str(tmp_path / "rows" / "*")],
        num_calibration_examples=40,
    )
    assert set(conversions[0]["calibration"]["x"][:, 0]) == {0, 1, 2}
