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
SIMULATORS = {key: spec.simulator for key, spec in BUILTIN.items() if spec.simulator}


@pytest.mark.parametrize("module", sorted({target.partition(":")[0] for target in SIMULATORS.values()}))
def test_simulator_needs_neither_its_adapter_nor_the_providers_library(module):
    # In a new interpreter, because this one has them.
    code = (
        f"import sys, {module}, gateway.simulation.simulator; "
        "libraries = ('android_sms_gateway', 'twilio'); "
        f"ours = ['adapters', 'adapters.sms', {module.rpartition('.')[0]!r}]; "
        "sys.exit([m for m in sys.modules if m.partition('.')[0] in libraries or m.startswith('adapters') "
        f"and m not in ours and not m.startswith({module!r})] or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("key", SIMULATORS)
def test_simulator_names_a_setting_of_its_adapter(key):
    # `simulate` tells it to whoever has to change a port that is taken.
    registry = Registry(BUILTIN)
    first = registry.simulator(key).setting.partition(".")[0]
    assert first in registry.adapter(key).Settings.model_fields


def every_simulator_on_http():
    registry = Registry(BUILTIN)
    return [found for key in SIMULATORS if issubclass(found := registry.simulator(key), SimulatedProvider)]


@pytest.mark.parametrize("provider", every_simulator_on_http(), ids=lambda found: found.name)
def test_failures_that_the_contract_asks_for_are_known(provider):
    assert {"throttle", "server_error", "unauthorized"} <= set(provider.failures)
    assert provider.failures["throttle"].status == 429
