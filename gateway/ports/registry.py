"""Find an adapter's class by its key, and import it on first use, so that an unused channel needs no packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import cast

from gateway.domain.errors import Misconfigured
from gateway.domain.texts import text
from gateway.ports.capabilities import Adapter


@dataclass(frozen=True, slots=True)
class Spec:
    """The places of an adapter and of its simulator, and the extra that they need."""

    target: str  # "package.module:Class"
    extra: str  # the pip extra that brings its packages; empty if the gateway's own are enough
    simulator: str | None = None  # "package.module:Class" of the simulated provider


class Registry:
    """The adapters of this program, by key."""

    def __init__(self, specs: Mapping[str, Spec]) -> None:
        self._specs = dict(specs)

    @property
    def keys(self) -> list[str]:
        """Return the adapter keys, sorted."""
        return sorted(self._specs)

    def spec(self, key: str) -> Spec:
        """Return the entry of a key; raises `Misconfigured` with the most similar key if there is none."""
        if key not in self._specs:
            similar = get_close_matches(key, self._specs, n=1, cutoff=0.4)
            hint = text("known adapters: {listed}", listed=", ".join(self.keys))
            if similar:
                hint = text("did you mean {name}?", name=repr(similar[0]))
            raise Misconfigured(text("there is no adapter {key}; {hint}", key=repr(key), hint=hint))
        return self._specs[key]

    def adapter(self, key: str) -> type[Adapter]:
        """Return the adapter class; raises `Misconfigured` naming the pip command of a missing extra."""
        spec = self.spec(key)
        return cast("type[Adapter]", _load(spec.target, key, spec.extra))

    def simulator(self, key: str) -> type[object] | None:
        """Return the simulator class, or `None` if the adapter has none; `simulation.configured` has its protocol."""
        spec = self.spec(key)
        return _load(spec.simulator, key, spec.extra) if spec.simulator else None


def _load(target: str, key: str, extra: str) -> type[object]:
    module_name, _, class_name = target.partition(":")
    try:
        return cast("type[object]", getattr(import_module(module_name), class_name))
    except ModuleNotFoundError as exc:
        package = f"lapor-gateway[{extra}]" if extra else "lapor-gateway"
        raise Misconfigured(
            text(
                "adapter {key} needs the Python package {name}; install it: pip install '{package}'",
                key=repr(key),
                name=repr(exc.name),
                package=package,
            )
        ) from exc
