"""The warm-up compiles what the networks use."""

from click.testing import CliRunner

from minideeplab.backends.numba_cpu.convolution import tiles, transformed_filters
from minideeplab.cli.warmup import command


def test_warmup_compiles_both_passes_of_winograds_form():
    result = CliRunner().invoke(command)
    assert result.exit_code == 0, result.output
    assert result.output.strip().endswith(" s")
    assert tiles.output_tiles.signatures and transformed_filters._taps.signatures
