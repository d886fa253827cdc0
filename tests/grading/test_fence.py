"""The kernel's layers by themselves, without Python's audit hooks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minideeplab
from minideeplab.grading.process import sandbox_layers

START = """
import errno, os, signal, socket, sys, threading
sys.path.insert(0, {root!r})
from minideeplab.grading.fence import restrict
layers = restrict([{readable!r}], [])
def attempt(name, call):
    try:
        call()
        print(name, "done", flush=True)
    except OSError as error:
        print(name, errno.errorcode[error.errno], flush=True)
print(*layers, flush=True)
"""
ATTEMPTS = {
    "reads": "lambda: open('/etc/passwd').read()",
    "reads what is allowed": "lambda: open({readable!r} + '/a').read()",
    "writes": "lambda: open({readable!r} + '/b', 'w')",
    "pipe": "lambda: os.mkfifo({readable!r} + '/c')",
    "device": "lambda: os.mknod({readable!r} + '/d')",
    "link": "lambda: os.symlink('/etc', {readable!r} + '/e')",
    "mode": "lambda: os.chmod({readable!r} + '/a', 0)",
    "process": "lambda: os.fork()",
    "program": "lambda: os.execv('/bin/true', ['true'])",
    "socket": "lambda: socket.socket()",
    "signal": "lambda: os.kill(os.getppid(), 0)",
    "thread": "lambda: threading.Thread(target=int).start()",
}
REFUSED = {
    "Landlock": ("reads", "writes", "pipe", "device", "link"),
    "seccomp": ("pipe", "device", "link", "mode", "process", "program", "socket", "signal"),
}


@pytest.fixture(scope="module")
def attempts(tmp_path_factory):
    """What each attempt gave in a restricted process, and the layers that it has."""
    folder = tmp_path_factory.mktemp("readable")
    (folder / "a").write_text("allowed")
    root = str(Path(minideeplab.__file__).resolve().parents[1])
    lines = [START, *(f"attempt({n!r}, {call})" for n, call in ATTEMPTS.items()), "os._exit(0)"]
    text = "\n".join(lines).format(root=root, readable=str(folder))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    layers, *rows = [line for line in done.stdout.splitlines() if line.strip()]
    assert (done.returncode, sorted(os.listdir(folder))) == (0, ["a"]) or not layers
    return layers.split(), dict(row.rsplit(" ", 1) for row in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="layers of Linux")
@pytest.mark.parametrize("layer", REFUSED)
def test_the_kernel_refuses(attempts, layer):
    layers, found = attempts
    if layer not in layers:
        pytest.skip(f"this kernel has no {layer}")
    assert {name: found[name] for name in REFUSED[layer]}.keys() == set(REFUSED[layer])
    assert all(found[name] in ("EACCES", "EPERM") for name in REFUSED[layer]), found
    assert found["thread"] == found["reads what is allowed"] == "done"


def test_the_layers_are_known(attempts):
    assert list(sandbox_layers()) == attempts[0]
