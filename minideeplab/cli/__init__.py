"""The command line: one module of this package per command, loaded when it is used.

Exit status: 0 success, 1 an error (one line on stderr), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

import click

from minideeplab import __version__
from minideeplab.budget import one_line


class CommandFolder(click.Group):
    """A group whose commands are this package's modules, each with a ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in alphabetical order."""
        names = [module.name for module in pkgutil.iter_modules(__path__)]
        return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command, None if there is no such."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail naming those with a similar name."""
        names = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in names:
            close = difflib.get_close_matches(args[0], names)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}


@click.group(cls=CommandFolder, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="minideeplab")
@click.option("--debug", is_flag=True, help="On an error, print the whole traceback.")
def cli(debug: bool) -> None:
    """DeepLab from scratch: segment images, refine them with a dense CRF, train networks.

    \b
    Example:
      minideeplab demo
      minideeplab segment photo.jpg --out results
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    os.environ["MPLBACKEND"] = "Agg"  # figures go to files; Jupyter's backend may be missing here
    arguments = list(sys.argv[1:] if args is None else args)
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    debug = arguments[:1] == ["--debug"]
    for name in ("stdout", "stderr"):  # None where the caller has closed it: >&-
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))
    try:
        status = cli.main(arguments, prog_name="minideeplab", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("minideeplab: interrupted", err=True)
        return 130
    except BrokenPipeError:  # the reader of the output, such as head, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            raise
        click.echo(f"minideeplab: error: {_one_line(error)}", err=True)
        return 1


def _one_line(error: Exception) -> str:
    """Return an error's message in one line; an unexpected error also has its type."""
    text = one_line(error)
    if isinstance(error, MemoryError):
        return f"out of memory; try a smaller image, --max-side or --crop {text}".strip()
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return one_line(f"{error.filename}: {error.strerror}")
    if text and isinstance(error, (ValueError, TypeError, OSError, ImportError)):
        return text
    return f"{type(error).__name__}: {text} (minideeplab --debug ... shows where)"
