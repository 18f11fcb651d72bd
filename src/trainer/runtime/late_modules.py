"""Leave out, until they are used, modules that TensorFlow and Keras import for a few users only.

Keras imports scikit-learn, with SciPy's statistics, for the wrappers in `keras.wrappers`; pandas to
recognise its tables; Matplotlib for two functions that draw; IPython to ask for a notebook.
TensorFlow imports Google's API client for TPUs, and the converter to its Lite form. Where they are
installed they take almost half of the time that TensorFlow needs to start.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

LATE = (
    "keras.wrappers",
    "keras._tf_keras.keras.wrappers",
    "matplotlib",
    "pandas",
    "IPython",
    "googleapiclient",
    "tensorflow._api.v2.lite",
    "tensorflow._api.v2.compat.v1.lite",
    "tensorflow._api.v2.compat.v2.lite",
)
# Classes that are asked for at once, only to compare the types of objects with them.
_CLASSES = {"pandas": ("DataFrame", "Series")}

# Packages with nothing in them that share a name with a module: `tensorflow.lite` beside the
# stand-in for `tensorflow._api.v2.lite`, which TensorFlow has under the same name.
_BESIDE = (("tensorflow", "lite"),)

# Attributes that Python's import machinery reads of a module, also before it has set them.
_OWN = ("__file__", "__path__", "__cached__")


@contextlib.contextmanager
def late(names: Sequence[str] = LATE) -> Iterator[None]:
    """Import modules of these names, in a block, as stand-ins that import them when they are used.

    After the block nobody else finds a stand-in: only who imported one within it keeps it.

    Args:
        names: Of modules; what is in them is late, too.
    """
    finder = _LateFinder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
        _import_beside()
    finally:
        sys.meta_path.remove(finder)
        finder.release()


def _import_beside() -> None:
    """Import packages that a later import would put in the place of a stand-in."""
    for parent, name in _BESIDE:
        package = sys.modules.get(parent)
        held = vars(package).get(name) if package else None
        if isinstance(held, _LateModule):
            importlib.import_module(f"{parent}.{name}")
            setattr(package, name, held)


class _LateFinder(MetaPathFinder):
    """Finds stand-ins for modules that are installed and have not been imported."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = set(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        name = self._late_name(fullname)
        begun = sys.modules.get(name)
        if not name or not (begun is None or isinstance(begun, _LateModule)):
            return None
        real = PathFinder.find_spec(fullname, path)
        if real is None:
            return None
        spec = ModuleSpec(fullname, _LateLoader(self), origin=real.origin)
        spec.has_location = real.has_location
        spec.submodule_search_locations = real.submodule_search_locations
        return spec

    def _late_name(self, fullname: str) -> str:
        return next((n for n in self._names if f"{fullname}.".startswith(f"{n}.")), "")

    def finds(self, fullname: str, path: Sequence[str] | None) -> bool:
        """Return True if it would find a stand-in."""
        return bool(path and self.find_spec(fullname, path))

    def release(self, fullname: str | None = None) -> None:
        """Let the real modules be found: all, or those that are late together with this one."""
        names = {self._late_name(fullname)} if fullname else self._names
        for name, module in list(sys.modules.items()):
            if isinstance(module, _LateModule) and self._late_name(name) in names:
                del sys.modules[name]
        self._names = self._names - names


class _LateLoader(Loader):
    """Makes stand-ins."""

    def __init__(self, finder: _LateFinder) -> None:
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LateModule(spec.name, self._finder)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: it is empty."""


class _LateModule(ModuleType):
    """Stands in for a module until something of it is used."""

    def __init__(self, name: str, finder: _LateFinder) -> None:
        super().__init__(name)
        self._late_finder = finder

    def __getattr__(self, name: str) -> Any:
        # `from package import module` asks for an attribute first.
        if name in _OWN or self._late_finder.finds(
            f"{self.__name__}.{name}", self.__dict__.get("__path__")
        ):
            raise AttributeError(f"module {self.__name__} has no attribute {name}", name=name)
        if name in _CLASSES.get(self.__name__, ()) and not self._late_is_imported():
            # Without the module there are no objects of the class, even if it is broken.
            return _LateClass(name, (), {"__module__": self.__name__})
        return getattr(self._late_real(), name)

    def __dir__(self) -> list[str]:
        return dir(self._late_real())

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return importlib.import_module, (self.__name__,)

    def _late_is_imported(self) -> bool:
        return not isinstance(sys.modules.get(self.__name__, self), _LateModule)

    def _late_real(self) -> ModuleType:
        self._late_finder.release(self.__name__)
        return importlib.import_module(self.__name__)


class _LateClass(type):
    """Stands in for a class of a module: before that is imported, no object is one of its kind."""

    def __instancecheck__(cls, instance: object) -> bool:
        real = getattr(sys.modules.get(cls.__module__), cls.__name__, None)
        return real is not None and real is not cls and isinstance(instance, real)
