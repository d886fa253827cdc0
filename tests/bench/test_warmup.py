"""The warm-up compiles what the networks use."""

from click.testing import CliRunner

from minideeplab.backends.numba_cpu.convolution import transformed_filters, winograd_steps
from minideeplab.backends.numba_cpu.runtime.parallel import ParallelKernel
from minideeplab.cli.warmup import command


def test_warmup_compiles_both_passes_of_winograds_form():
    result = CliRunner().invoke(command)
    assert result.exit_code == 0, result.output
    assert result.output.strip().endswith(" s")
    used = [r for r in vars(winograd_steps).values() if isinstance(r, ParallelKernel)]
    used.remove(winograd_steps.multiply_points)  # the benchmark's own
    assert len(used) == 7 and all(kernel.run.signatures for kernel in used)
    assert transformed_filters.all_to_taps.run.signatures
