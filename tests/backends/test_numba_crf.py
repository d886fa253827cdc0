"""The compiled dense CRF against its definition, by any number of threads."""

import numba
import numpy as np
import pytest

from minideeplab.backends.numba_cpu import crf as fast
from minideeplab.backends.numba_cpu import simd
from minideeplab.backends.numba_cpu.crf import lattice
from minideeplab.backends.numba_cpu.runtime import parallel
from minideeplab.ops.crf import lattice as definition
from minideeplab.ops.crf import meanfield
from minideeplab.ops.crf.meanfield import Term

FLOAT = [np.float32, np.float64]
TOLERANCE = {np.float32: 5e-6, np.float64: 1e-12}


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def image_features(rng, height=19, width=23, channels=3, dtype=np.float32):
    """Positions and smooth random colours (D, N), in kernel widths; N is no multiple of four."""
    y, x = np.mgrid[:height, :width]
    colours = np.cumsum(rng.normal(size=(channels, height, width)), axis=2)
    return np.stack([x / 5, y / 5, *colours]).reshape(2 + channels, -1).astype(dtype)


def match(built, expected):
    """The vertex of ``expected`` that each vertex of ``built`` is."""
    names = np.full(built.n_vertices + 1, -1)
    names[-1] = expected.n_vertices
    names[built.corners] = expected.corners
    return names


@pytest.mark.parametrize("dtype", FLOAT)
@pytest.mark.parametrize("d", [1, 2, 5, 9])
def test_lattice_is_the_definition_s(rng, d, dtype):
    features = rng.normal(size=(d, 103)).astype(dtype) * 3
    built, expected = fast.build_lattice(features), definition.build_lattice(features)
    assert built.n_vertices == expected.n_vertices
    assert np.abs(built.weights - expected.weights).max() <= 4 * np.finfo(dtype).eps
    assert built.weights.dtype == dtype and built.corners.dtype == np.int32
    names = match(built, expected)
    assert (names[built.corners] == expected.corners).all()
    known = np.flatnonzero(names[:-1] >= 0)  # the padding's vertices are nobody's corners
    theirs = expected.neighbours[..., names[known]]
    ours = names[built.neighbours[..., known]]
    assert ((ours == theirs) | (ours == -1)).all()
    assert ((built.neighbours == built.n_vertices).sum() ==
            (expected.neighbours == expected.n_vertices).sum())  # fmt: skip


def test_vertices_are_numbered_in_order_of_touch(rng):
    corners = fast.build_lattice(image_features(rng)).corners.T.ravel()
    first = np.unique(corners, return_index=True)[1]
    assert (np.diff(first) > 0).all()


def test_padding_to_four_points_adds_their_vertices():
    features = np.full((2, 5), 30.0, np.float32)
    assert fast.build_lattice(features).n_vertices == 6
    assert fast.build_lattice(features, lanes=1).n_vertices == 3


def test_the_table_grows(rng):
    features = rng.uniform(0, 300, size=(5, 3000)).astype(np.float32)
    built = fast.build_lattice(features)
    assert built.n_vertices == definition.build_lattice(features).n_vertices > 1 << 12


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e7, 1e30, -1e7])
def test_features_out_of_range_are_refused(value):
    features = np.zeros((5, 8), np.float32)
    features[2, 3] = value
    with pytest.raises(ValueError, match="features"):
        fast.build_lattice(features)


def test_keys_wider_than_64_bits_are_hashed(rng):
    features = rng.uniform(-900, 900, size=(6, 64)).astype(np.float32)
    assert lattice.place_values(features) is None
    values = rng.normal(size=(3, 64)).astype(np.float32)
    expected = definition.filter_lattice(definition.build_lattice(features), values)
    built = fast.build_lattice(features)
    assert isinstance(built, lattice.ChainedLattice)
    assert np.allclose(fast.filter_lattice(built, values), expected)


def test_hashes_that_collide_are_left_to_the_definition(rng, monkeypatch):
    features = rng.uniform(-900, 900, size=(6, 64)).astype(np.float32)
    seeds = [np.array([1, 0, 0, 0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 0, 1, 0, 1])]
    monkeypatch.setattr(lattice, "random_places", lambda d, seed: seeds[seed])
    built = fast.build_lattice(features)
    assert not isinstance(built, lattice.ChainedLattice)
    assert built.n_vertices == definition.build_lattice(features).n_vertices


@pytest.mark.parametrize("dtype", FLOAT)
@pytest.mark.parametrize("channels", [1, 8, 21])
@pytest.mark.parametrize("reverse", [False, True])
def test_filter_is_the_definition_s(rng, channels, reverse, dtype):
    features = image_features(rng, dtype=dtype)
    values = rng.normal(size=(channels, features.shape[1])).astype(dtype)
    reference = definition.build_lattice(features)
    expected = definition.filter_lattice(reference, values, reverse)
    for kernel in (fast.build_lattice(features), reference):
        result = fast.filter_lattice(kernel, values, reverse)
        assert result.dtype == dtype
        assert np.abs(result - expected).max() <= TOLERANCE[dtype] * np.abs(expected).max()


def test_reverse_is_the_adjoint(rng):
    kernel = fast.build_lattice(image_features(rng, dtype=np.float64))
    u, v = rng.normal(size=(2, 4, 19 * 23))
    there, back = np.sum(u * kernel.filter(v)), np.sum(kernel.filter(u, reverse=True) * v)
    assert abs(there - back) <= 1e-12 * np.abs(u * kernel.filter(v)).sum()
    assert abs(there - np.sum(kernel.filter(u) * v)) > 1e-9  # blurs don't commute


def make_terms(rng, labels, dtype, compats, build=fast.build_lattice):
    """One term for each compatibility, on features of 2, 5, 2 ... dimensions."""
    generator = np.random.default_rng(8)
    terms = []
    for k, compat in enumerate(compats):
        kernel = build(image_features(generator, channels=3 * (k % 2), dtype=dtype))
        ones = np.ones((1, 19 * 23), dtype)
        norm = 1 / definition.filter_lattice(kernel, ones)[0]
        before, after = [(np.sqrt(norm), np.sqrt(norm)), (None, norm), (norm, None)][k % 3]
        terms.append(Term(kernel, np.asarray(compat, dtype), before, after))
    return terms


def kinds(rng, labels):
    """Potts, diagonal and matrix compatibilities, alone and together."""
    diagonal, matrix = -rng.uniform(1, 3, labels), rng.normal(size=(labels, labels))
    return [[-2.0], [diagonal], [matrix], [-1.0, matrix, diagonal]]


@pytest.mark.parametrize("dtype", FLOAT)
@pytest.mark.parametrize("labels", [1, 3, 9])
@pytest.mark.parametrize("kind", range(4))
def test_mean_field_is_the_definition_s(rng, kind, labels, dtype):
    compats = kinds(rng, labels)[kind]
    unary = rng.uniform(0, 4, size=(labels, 19 * 23)).astype(dtype)
    terms = make_terms(rng, labels, dtype, compats)
    expected = meanfield.mean_field(unary, terms, 5)
    result = fast.mean_field(unary, terms, 5)
    assert result.dtype == dtype and result.flags.c_contiguous
    assert np.abs(result - expected).max() <= TOLERANCE[dtype]
    started = fast.mean_field(unary, terms, 3, fast.mean_field(unary, terms, 2))
    assert np.abs(started - expected).max() <= TOLERANCE[dtype]
    assert np.array_equal(fast.mean_field(unary, terms, 0), meanfield.softmax(-unary))


def test_a_definition_s_lattice_and_a_diagonal_serve_too(rng):
    unary = rng.uniform(0, 4, size=(3, 19 * 23)).astype(np.float32)
    plain = make_terms(rng, 3, np.float32, [-2.0, -1.0])
    other = make_terms(rng, 3, np.float32, [-2.0, -1.0], definition.build_lattice)
    expected = fast.mean_field(unary, plain, 4)
    assert np.abs(fast.mean_field(unary, other, 4) - expected).max() <= 5e-6

    diagonal = np.full(19 * 23, 0.1, np.float32)
    terms = [Term(t.kernel, t.compat, t.before, t.after, diagonal) for t in plain]
    result = fast.mean_field(unary, terms, 4)
    assert np.abs(result - meanfield.mean_field(unary, terms, 4)).max() <= 5e-6
    assert np.abs(result - expected).max() > 1e-3


@pytest.mark.parametrize("labels", [3, 9])
@pytest.mark.parametrize("dtype", FLOAT)
def test_any_number_of_threads_gives_the_same_bits(rng, monkeypatch, dtype, labels):
    unary = rng.uniform(0, 4, size=(labels, 19 * 23)).astype(dtype)
    results = []
    monkeypatch.setattr("minideeplab.backends.numba_cpu.crf.meanfield.GRAIN", 1)
    monkeypatch.setattr(lattice, "PARALLEL_VERTICES", 0)
    monkeypatch.setattr(parallel, "_cores", lambda: 8)
    for count in (1, 2, 3, 7):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", count)
        terms = make_terms(rng, labels, dtype, [-2.0, -1.0])
        results.append(fast.mean_field(unary, terms, 5))
    expected = meanfield.mean_field(unary, terms, 5)
    assert np.abs(results[-1] - expected).max() <= TOLERANCE[dtype]
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_one_pixel_and_inputs_unchanged(rng):
    features = np.array([[0.3], [0.7]], np.float32)
    term = Term(fast.build_lattice(features), np.array(-1.0, np.float32))
    unary = np.array([[1.0], [2.0]], np.float32)
    before = unary.copy()
    assert np.allclose(
        fast.mean_field(unary, [term], 3), meanfield.mean_field(unary, [term], 3), atol=1e-6
    )
    assert np.array_equal(unary, before)


@pytest.mark.parametrize("dtype", FLOAT)
def test_exponential_and_certain_pixels(dtype):
    unary = np.array([[0, 0], [80, 800], [700, 3]], dtype)
    features = np.array([[0.0, 50.0]], dtype)  # too far apart to interact
    term = Term(fast.build_lattice(features), np.array(0.0, dtype))
    expected = meanfield.softmax(-unary.astype(np.float64))
    result = fast.mean_field(unary, [term], 1)
    assert np.allclose(result, expected, rtol=8 * np.finfo(dtype).eps, atol=1e-37)
    assert result[1, 0] > 0 and result[1, 1] == 0


def test_vectors_uncompiled():
    rows = np.arange(32.0).reshape(2, 16)
    vector = simd.load(rows, 1, 8)
    simd.store(rows, 0, 0, simd.maximum(vector, 27.0) * 2)
    assert rows[0, :8].tolist() == [54, 54, 54, 54, 56, 58, 60, 62]
    assert (simd.total(vector), simd.highest(vector)) == (220, 31)
    assert [simd.padded(n) for n in (1, 8, 9)] == [8, 8, 16]
