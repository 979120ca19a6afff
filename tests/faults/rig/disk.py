"""Disks that run full: a small file system of our own, or a limit on how large a process may let a file grow."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil


class SmallDisk:
    """A tmpfs that only one mount namespace sees: it cannot be left behind, and needs no clearing away.

    The namespace lives as long as a process that sleeps in it. `prefix` runs a command inside, at `inside`; from
    outside the same folder is `outside`.
    """

    def __init__(self, mount_point: Path, megabytes: int) -> None:
        """Make it; raises `OSError` where this machine does not let us."""
        self.inside = mount_point
        programs = [shutil.which(name) for name in ("unshare", "nsenter", "mount")]
        if not all(programs):
            raise OSError("unshare, nsenter or mount is not installed")
        script = f'mount -t tmpfs -o size={megabytes}m tmpfs "$0" && echo mounted && exec sleep 3600'
        self._keeper = subprocess.Popen(
            [str(programs[0]), "--mount", "--propagation", "private", "sh", "-c", script, str(mount_point)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline().strip() != "mounted":
            said = self._keeper.communicate()[1].strip()
            raise OSError(f"no file system may be mounted here: {said}")
        self.outside = Path(f"/proc/{self._keeper.pid}/root{mount_point}")
        self.prefix = [str(programs[1]), f"--mount=/proc/{self._keeper.pid}/ns/mnt", "--"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._keeper.kill()
        self._keeper.communicate()

    def fill(self) -> int:
        """Use up all that is free; return how many bytes that was."""
        written = 0
        with (self.outside / "filler").open("ab", buffering=0) as file, suppress(OSError):
            while True:
                written += file.write(b"\0" * 4096)
        return written

    def free(self) -> None:
        """Make room again."""
        (self.outside / "filler").unlink()


def limit_files(pid: int, size: int | None) -> None:
    """Let no file of a process and its children grow past so many bytes; `None` takes the limit away.

    Python and PostgreSQL ignore the signal that comes with it, so a write fails as on a full disk: EFBIG for ENOSPC.
    """
    prlimit = shutil.which("prlimit")
    assert prlimit, "install util-linux"
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            # As the process's own user: not even root may limit another's everywhere.
            user, group = process.uids().real, process.gids().real
            other: dict[str, Any] = {} if user == os.geteuid() else {"user": user, "group": group, "extra_groups": []}
            soft = "unlimited" if size is None else size
            command = [prlimit, f"--pid={process.pid}", f"--fsize={soft}:unlimited"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, **other)
            assert done.returncode == 0 or not psutil.pid_exists(process.pid), done.stderr


def largest(folder: Path) -> int:
    """Return the size of the largest file in a folder."""
    return max(path.stat().st_size for path in folder.iterdir() if path.is_file())
