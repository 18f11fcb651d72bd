"""The package for tools that ask for this file; what it is stands in pyproject.toml."""

from setuptools import setup

setup()
