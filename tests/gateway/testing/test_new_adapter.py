"""A generated adapter: everything passes but the case that its author has to fill in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.testing.new_adapter import main, write_adapter

ROOT = Path(__file__).parents[3]


def run(*arguments, cwd):
    # The folder comes first: where it has an `adapters` package, that one is imported.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(cwd), str(ROOT)])}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100)


def test_generated_adapter_fails_only_its_open_case(tmp_path):
    write_adapter("smoke.example_one", tmp_path)
    (tmp_path / "adapters" / "__init__.py").touch()
    pytest_run = ("pytest", "tests", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-c", "/dev/null")
    first = run(*pytest_run, "--rootdir", str(tmp_path), cwd=tmp_path)
    assert "first: if the new result is right, put it into expected/first.json" in first.stdout, first.stdout
    assert "1 failed" in first.stdout, first.stdout
    expected = {
        "envelope": {"key": "m1", "sender": "+6281200000999"},
        "events": [
            {
                "type": "CitizenMessage",
                "external_id": "m1",
                "sender": "+6281200000999",
                "recipient": "1708",
                "text": "Jalan rusak di depan sekolah",
            }
        ],
    }
    case = tmp_path / "tests" / "adapters" / "smoke" / "example_one" / "expected" / "first.json"
    case.write_text(json.dumps(expected), "utf-8")
    second = run(*pytest_run, "--rootdir", str(tmp_path), cwd=tmp_path)
    assert "failed" not in second.stdout, second.stdout
    assert second.returncode == 0


def test_generated_code_is_clean(tmp_path):
    written = write_adapter("smoke.example_one", tmp_path)
    code = [str(path) for path in written if path.suffix == ".py" and "tests" not in path.parts]
    checked = run("ruff", "check", "--config", str(ROOT / "pyproject.toml"), *code, cwd=ROOT)
    assert checked.returncode == 0, checked.stdout
    formatted = run("ruff", "format", "--check", "--config", str(ROOT / "pyproject.toml"), *code, cwd=ROOT)
    assert formatted.returncode == 0, formatted.stdout


@pytest.mark.parametrize("key", ["sms", "Sms.foo", "sms.foo.bar", "../x.y", "sms.", ".foo", ""])
def test_wrong_keys_are_refused(tmp_path, key):
    with pytest.raises(ValueError, match="adapter key"):
        write_adapter(key, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sms.foo"]) == 0
    assert "wrote adapters/sms/foo.py" in capsys.readouterr().out.replace("\\", "/")
    assert main(["sms.foo"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([]) == 2
