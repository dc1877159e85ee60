"""The 1,797 handwritten digits that scikit-learn carries, as a CSV file.

Source: E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI, 1998.
"""

import os

from tfx_shrink.errors import ParameterError

SIDE = 8
LABEL = "label"
PIXELS = [f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE)]


def write_csv(directory: str) -> str:
    """Writes `digits.csv`: 64 pixel columns, 0 to 16, and the label, 0 to 9.

    A file that already holds the same is left alone, since TFX's cache looks at its time.

    Args:
      directory: Where to write; made if missing.

    Returns:
      The file's path.

    Raises:
      ParameterError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ParameterError(
            "The digits are scikit-learn's: pip install scikit-learn, or tfx-shrink "
            f"with its extra [digits] ({error})."
        ) from error

    digits = load_digits()
    lines = [",".join([*PIXELS, LABEL])]
    for pixels, label in zip(digits.data, digits.target, strict=True):
        lines.append(",".join(str(int(value)) for value in [*pixels, label]))
    content = "\n".join(lines) + "\n"
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "digits.csv")
    if os.path.exists(path):
        with open(path) as file:
            if file.read() == content:
                return path
    with open(path, "w") as file:
        file.write(content)
    return path
