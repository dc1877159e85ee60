"""Build tfx-shrink: three top-level folders become one import package."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

# A top-level `components` or `kubeflow` must never reach anybody's site-packages.
ROOTS = {
    "tfx_shrink": "components",
    "tfx_shrink.pipelines": "pipelines",
    "tfx_shrink.kubeflow": "kubeflow",
}

DATA = [
    "py.typed",
    "*.config",
    "*.css",
    "*.csv",
    "*.html",
    "*.ipynb",
    "*.json",
    "*.yaml",
    "Dockerfile",
]

# The stacks that are tested: a TFX release with the TensorFlow and the Beam that belong to it.
TFX_1_16 = 'python_version == "3.10"'
TFX_1_21 = 'python_version >= "3.11"'
STACKS = {
    TFX_1_16: [
        "apache-beam>=2.61,<2.64",
        "numpy>=1.22,<2",
        "tensorflow>=2.16.2,<2.17",
        "tensorflow-model-analysis>=0.47,<0.48",
        "tf-keras~=2.16.0",
        "tfx>=1.16,<1.17",
    ],
    TFX_1_21: [
        "apache-beam>=2.77,<2.78",
        "numpy>=2,<3",
        "tensorboard~=2.21.0",
        "tensorflow~=2.21.0",
        "tensorflow-model-analysis>=0.52,<0.53",
        "tf-keras~=2.21.0",
        "tfx>=1.21,<1.22",
    ],
}
KFP = {
    TFX_1_16: ["kfp>=2.5,<2.6", "tfx[kfp]>=1.16,<1.17"],
    TFX_1_21: ["kfp>=2.16,<2.17", "tfx[kfp]>=1.21,<1.22"],
}

DIGITS = ["scikit-learn>=1.3,<2"]
TEST = [
    *DIGITS,
    "hypothesis>=6,<7",
    "ipykernel>=6",
    "jsonschema>=4,<5",
    "nbclient>=0.10,<1",
    "pillow>=10",
    "pytest>=8,<9",
    "pytest-timeout>=2.3,<3",
    "pytest-xdist>=3.6,<4",
]
DEV = [
    *TEST,
    "build>=1.2,<2",
    "import-linter>=2.3,<3",
    "mkdocs>=1.6,<2",
    "mkdocs-material>=9.5,<10",
    "mkdocstrings-python>=1.10",
    "mypy>=2,<3",
    "pre-commit>=4,<5",
    "ruff>=0.17,<0.18",
]


def read_version() -> str:
    """Return `__version__` without importing the package, which needs TensorFlow."""
    text = (HERE / "components" / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise RuntimeError('components/version.py must hold a line `__version__ = "…"`.')
    return found.group(1)


def read_long_description() -> str:
    """Return the README, or nothing in a checkout that has none yet."""
    readme = HERE / "README.md"
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


def on_each(stacks: dict[str, list[str]]) -> list[str]:
    """Return the requirements of every stack, each for that stack's Python."""
    return [f"{requirement}; {python}" for python, found in stacks.items() for requirement in found]


def packages_of(package: str, folder: str) -> list[str]:
    """Return `package` and every package found below `folder`, under its import name."""
    if not (HERE / folder / "__init__.py").is_file():
        return []
    return [package, *(f"{package}.{found}" for found in find_packages(str(HERE / folder)))]


PACKAGES = {package: packages_of(package, folder) for package, folder in ROOTS.items()}

setup(
    name="tfx-shrink",
    version=read_version(),
    description="TFX components that make a trained model smaller, prove it, and deliver it",
    long_description=read_long_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.14",
    packages=[name for names in PACKAGES.values() for name in names],
    package_dir={package: ROOTS[package] for package, names in PACKAGES.items() if names},
    # The pattern `**/` also reaches folders that are not packages, such as kustomize bases.
    package_data={
        package: [*DATA, *(f"**/{pattern}" for pattern in DATA)]
        for package, names in PACKAGES.items()
        if names
    },
    zip_safe=False,
    install_requires=[
        "click>=8,<9",
        "flatbuffers>=24.3.25",
        "jinja2>=3.1,<4",
        "obstore>=0.11,<0.12",
        "prometheus-client>=0.21,<1",
        "pygal>=3,<4",
        "pyyaml>=6,<7",
        "scipy>=1.7,<2",
        "tensorflow-model-optimization>=0.8.1,<0.9",
        "zstandard>=0.22,<1",
        *on_each(STACKS),
    ],
    extras_require={
        "edge": ["ai-edge-quantizer>=0.10,<0.11"],
        "kfp": on_each(KFP),
        "digits": DIGITS,
        "test": TEST,
        "dev": DEV,
    },
    entry_points={"console_scripts": ["tfx-shrink = tfx_shrink.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
