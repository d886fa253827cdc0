"""The command line's frame: lazy commands, exit statuses, one clear line on an error."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from minideeplab import cli


@pytest.fixture
def command(monkeypatch):
    """Replace every command by one that runs what the test wants."""

    def install(action):
        @click.command()
        @click.option("--size", type=int)
        def stand_in(size):
            return action()

        monkeypatch.setattr(cli.CommandFolder, "get_command", lambda *_: stand_in)

    return install


def fail(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("size: expected 3,\n got 4"), "minideeplab: error: size: expected 3, got 4"),
        (FileNotFoundError(2, "No such file", "a.png"), "error: a.png: No such file"),
        (MemoryError(), "error: out of memory"),
        (KeyError("x"), "error: KeyError: 'x' (minideeplab --debug"),
        (FloatingPointError("loss is NaN"), "FloatingPointError: loss is NaN"),
    ],
)
def test_errors_are_one_line_and_status_1(command, capsys, error, line):
    command(fail(error))
    assert cli.run(["segment"]) == 1
    out, err = capsys.readouterr()
    assert line in err and err.count("\n") == 1 and out == ""


def test_debug_shows_the_traceback(command):
    command(fail(ValueError("x")))
    with pytest.raises(ValueError, match="x"):
        cli.run(["--debug", "segment"])


def test_interrupt_is_130(command, capsys):
    command(fail(KeyboardInterrupt()))
    assert cli.run(["segment"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--nonsense"], ["segment", "--size", "x"]])
def test_wrong_usage_is_2(command, capsys, arguments):
    command(lambda: None)
    assert cli.run(arguments) == 2
    assert "Usage:" in capsys.readouterr().err


def test_success_is_0_and_a_command_may_choose_its_status(command):
    command(lambda: None)
    assert cli.run(["segment"]) == 0
    command(lambda: click.get_current_context().exit(1))
    assert cli.run(["segment"]) == 1


def test_unknown_command_is_2(capsys):
    assert cli.run(["nonsense"]) == 2
    assert "No such command 'nonsense'" in capsys.readouterr().err


@pytest.mark.parametrize("typed, meant", [
    ("segmnt", "segment"), ("evalute", "evaluate"), ("chek-data", "check-data"),
])  # fmt: skip
def test_a_mistyped_command_is_answered_with_the_one_meant(capsys, typed, meant):
    assert cli.run([typed, "a.png"]) == 2
    assert f"No such command '{typed}'. Did you mean {meant}" in capsys.readouterr().err


def test_every_command_has_help_with_an_example():
    group = cli.cli
    context = click.Context(group)
    names = group.list_commands(context)
    assert {"segment", "demo"} <= set(names)
    for name in names:
        text = group.get_command(context, name).get_help(click.Context(group, info_name=name))
        assert "Example" in text and f"minideeplab {name}" in text, name


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom minideeplab import cli\ncli.run(['--help'])\n"
        "heavy = {'numba', 'scipy', 'matplotlib', 'h5py'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "segment" in done.stdout


def test_a_backend_of_matplotlib_that_is_not_installed_does_not_matter():
    code = (
        "from minideeplab import cli\n"
        "cli.run = lambda arguments: bool(__import__('matplotlib.figure').get_backend() != 'Agg')\n"
        "cli.main([])"
    )
    environment = {**os.environ, "MPLBACKEND": "missing"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=60)
    assert done.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs_are_no_error(closed):
    line = f"exec {sys.executable} -m minideeplab convert shapes {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0 and "Error" not in done.stderr
