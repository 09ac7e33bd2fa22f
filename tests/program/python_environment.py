"""Python packages for checks, from PyPI: each list of them gets a virtual environment of its own in the user's cache."""
import fcntl
import hashlib
import os
import pathlib
import subprocess
import venv


def environment(name, packages):
    """The folder of an environment that holds `packages` ("name==version"); made once per list, by whichever check comes first."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "hone"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / (f"{name}-" + hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12])
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
            (folder / "complete").touch()
    return folder
