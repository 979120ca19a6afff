"""What holds for the simulator of every adapter that has one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapters import BUILTIN
from gateway.ports.registry import Registry
from gateway.simulation.provider import SimulatedProvider

ROOT = Path(__file__).parents[3]
REGISTRY = Registry(BUILTIN)
SIMULATORS = {key: spec.simulator for key, spec in BUILTIN.items() if spec.simulator}
MODULES = sorted({target.partition(":")[0] for target in SIMULATORS.values()})
# Prints the modules that a simulator brought in: providers' libraries, and adapters outside its own package.
SHOW_IMPORTS = """
import importlib, sys
import gateway.simulation.simulator
module = sys.argv[1]
importlib.import_module(module)
room = module.split(".")[:-1]
parents = {".".join(room[:length]) for length in range(1, len(room) + 1)}
for name in sys.modules:
    library = name.partition(".")[0] in ("android_sms_gateway", "twilio")
    foreign = name.startswith("adapters") and name not in parents and not name.startswith(module)
    if library or foreign:
        print(name)
"""


@pytest.mark.parametrize("module", MODULES)
def test_a_simulator_needs_neither_its_adapter_nor_the_providers_library(module: str) -> None:
    # In a new interpreter, because this one has imported them.
    ended = subprocess.run(
        [sys.executable, "-c", SHOW_IMPORTS, module], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert ended.stdout == ""


@pytest.mark.parametrize("key", SIMULATORS)
def test_a_simulator_names_a_setting_of_its_adapter(key: str) -> None:
    # `simulate` shows it to the operator who has to change a port that is taken.
    name = REGISTRY.simulator(key).setting.partition(".")[0]
    assert name in REGISTRY.adapter(key).Settings.model_fields


def simulators_on_http() -> list[type[SimulatedProvider]]:
    classes = [REGISTRY.simulator(key) for key in SIMULATORS]
    return [simulator for simulator in classes if issubclass(simulator, SimulatedProvider)]


@pytest.mark.parametrize("provider", simulators_on_http(), ids=lambda provider: provider.name)
@pytest.mark.parametrize("failure", ["throttle", "server_error", "unauthorized"])
def test_the_failures_that_the_contract_asks_for_are_known(provider: type[SimulatedProvider], failure: str) -> None:
    assert failure in provider.failures


@pytest.mark.parametrize("provider", simulators_on_http(), ids=lambda provider: provider.name)
def test_a_throttled_call_is_answered_with_429(provider: type[SimulatedProvider]) -> None:
    assert provider.failures["throttle"].status == 429
