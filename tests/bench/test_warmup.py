"""The warm-up compiles what the networks use."""

from click.testing import CliRunner

from minideeplab.backends.numba_cpu.convolution import rounds, transformed_filters
from minideeplab.backends.numba_cpu.together import Round
from minideeplab.cli.warmup import command


def test_warmup_compiles_both_passes_of_winograds_form():
    result = CliRunner().invoke(command)
    assert result.exit_code == 0, result.output
    assert result.output.strip().endswith(" s")
    own = [r for r in vars(rounds).values() if isinstance(r, Round)]
    assert len(own) == 8
    for kernel in own:
        used = kernel.run.signatures
        assert used if kernel is not rounds.multiply_points else not used  # the benchmark's
    assert transformed_filters.to_taps.signatures
