"""Adapters are found by key, imported late, and missing packages are named with their remedy."""

from __future__ import annotations

import pytest

from gateway.domain.errors import Misconfigured
from gateway.ports.registry import Registry, Spec

REGISTRY = Registry(
    {
        "sms.toy": Spec("json:JSONDecoder", "sms-toy", "json:JSONEncoder"),
        "sms.gone": Spec("package_nobody_has:Class", "sms-gone"),
    }
)


def test_an_adapter_and_its_simulator_are_imported_when_asked_for() -> None:
    import json

    assert REGISTRY.keys == ["sms.gone", "sms.toy"]
    assert REGISTRY.adapter("sms.toy") is json.JSONDecoder
    assert REGISTRY.simulator("sms.toy") is json.JSONEncoder
    assert REGISTRY.simulator("sms.gone") is None


def test_an_unknown_key_is_answered_with_the_nearest_or_with_all() -> None:
    with pytest.raises(Misconfigured, match=r"did you mean 'sms\.toy'\?"):
        REGISTRY.spec("sms.tey")
    with pytest.raises(Misconfigured, match=r"known adapters: sms\.gone, sms\.toy"):
        REGISTRY.spec("qqq")


def test_a_missing_package_is_answered_with_the_pip_command() -> None:
    with pytest.raises(Misconfigured, match=r"pip install 'lapor-gateway\[sms-gone\]'"):
        REGISTRY.adapter("sms.gone")
    with pytest.raises(Misconfigured, match=r"pip install 'lapor-gateway'$"):
        Registry({"sms.bare": Spec("package_nobody_has:Class", "")}).adapter("sms.bare")
