"""The warm-up compiles what the networks use."""

from click.testing import CliRunner

from minideeplab.backends.numba_cpu.convolution import rounds, transformed_filters
from minideeplab.cli.warmup import command


def test_warmup_compiles_both_passes_of_winograds_form():
    result = CliRunner().invoke(command)
    assert result.exit_code == 0, result.output
    assert result.output.strip().endswith(" s")
    kernels = [k for k in vars(rounds).values() if hasattr(k, "signatures")]
    own = [kernel for kernel in kernels if kernel.__module__ == rounds.__name__]
    assert len(own) == 8 and all(kernel.signatures for kernel in own)
    assert transformed_filters._taps.signatures
