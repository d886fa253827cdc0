"""The lattice: weights, adjoint, bad features, and its distance from the exact kernel."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import scene

from minideeplab.crf.potentials import bilateral_features, gaussian_features
from minideeplab.ops.crf.exact import ExactKernel, gaussian
from minideeplab.ops.crf.lattice import (
    barycentric,
    build_lattice,
    elevate,
    filter_lattice,
    find_simplex,
    splat,
)
from minideeplab.ops.crf.self_term import lattice_diagonal


def matrix(lattice, reverse=False):
    n = lattice.corners.shape[1]
    return filter_lattice(lattice, np.eye(n), reverse).T


def features(d, n, scale=2.0, seed=0):
    return np.random.default_rng(seed).normal(size=(d, n)) * scale


@pytest.mark.parametrize("d", [1, 2, 3, 5, 9])
def test_elevation_is_isometric_and_stays_in_the_hyperplane(d):
    f = features(d, 7)
    e = elevate(f)
    np.testing.assert_allclose(e.sum(axis=0), 0, atol=1e-12 * d)
    lengths = np.linalg.norm(e, axis=0) / np.linalg.norm(f, axis=0)
    np.testing.assert_allclose(lengths, np.sqrt(2 / 3) * (d + 1), rtol=1e-6)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 9])
def test_points_are_the_weighted_mean_of_their_corners(d):
    e = elevate(features(d, 200, seed=d))
    vertex, rank = find_simplex(e.astype(np.float32))
    weights = barycentric(e, vertex, rank)
    assert np.all(np.sort(rank, axis=0) == np.arange(d + 1)[:, None])
    assert np.all(vertex % (d + 1) == 0) and np.all(vertex.sum(axis=0) == 0)
    assert weights.min() > -1e-5
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-12)
    r = np.arange(d + 1)[:, None, None]
    corners = vertex + r - (d + 1) * (rank > d - r)  # (corner, coordinate, N)
    np.testing.assert_allclose(np.einsum("rn,rin->in", weights, corners), e, atol=1e-11)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_reverse_is_the_adjoint(d):
    lattice = build_lattice(features(d, 101))
    u, v = np.random.default_rng(1).normal(size=(2, 3, 101))
    there = np.vdot(u, filter_lattice(lattice, v))
    back = np.vdot(filter_lattice(lattice, u, reverse=True), v)
    assert abs(there - back) < 1e-12 * abs(there)
    if d > 1:  # the blur passes do not commute where neighbours are missing
        assert abs(np.vdot(filter_lattice(lattice, u), v) - there) > 1e-6 * abs(there)


def test_neighbours_are_mutual():
    lattice = build_lattice(features(3, 300))
    for before, behind in lattice.neighbours:
        has = np.flatnonzero(before < lattice.n_vertices)
        assert has.size > 20
        np.testing.assert_array_equal(behind[before[has]], has)


def test_splat_keeps_the_sum():
    values = np.random.default_rng(0).normal(size=(2, 50))
    vertices = splat(build_lattice(features(4, 50)), values)
    np.testing.assert_allclose(vertices.sum(axis=1), values.sum(axis=1), rtol=1e-12)
    assert not vertices[:, -1].any()


@pytest.mark.parametrize(("kind", "limit"), [("gaussian", 0.05), ("bilateral", 0.10)])
def test_normalised_filter_is_near_the_exact_kernel(kind, limit):
    image, unary = scene(32, 40, 3)
    if kind == "gaussian":
        f = gaussian_features((32, 40), 3, np.float64)
    else:
        f = bilateral_features(image, 20, 40, np.float64)
    values = np.exp(-unary.reshape(3, -1).astype(np.float64))
    results = []
    for kernel in (build_lattice(f), ExactKernel(f)):
        norm = kernel.filter(np.ones((1, f.shape[1])))
        results.append(kernel.filter(values) / norm)
    error = np.linalg.norm(results[0] - results[1]) / np.linalg.norm(results[1])
    assert 1e-4 < error < limit


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_lattice_diagonal_is_that_of_the_matrix(d):
    lattice = build_lattice(features(d, 37, seed=d))
    np.testing.assert_allclose(lattice_diagonal(lattice), np.diag(matrix(lattice)), atol=1e-14)


def test_padding_lanes_only_add_vertices_at_the_origin():
    f = features(2, 21) + 50  # far from the origin
    padded, bare = build_lattice(f), build_lattice(f, lanes=1)
    assert padded.n_vertices == bare.n_vertices + 3
    np.testing.assert_allclose(matrix(padded), matrix(bare), atol=1e-14)


def test_precision_does_not_change_the_simplex():
    f = (np.indices((12, 16, 18)).reshape(3, -1) / 3).astype(np.float32)  # many on simplex faces
    single, double = build_lattice(f), build_lattice(f.astype(np.float64))
    np.testing.assert_array_equal(single.corners, double.corners)
    np.testing.assert_allclose(single.weights, double.weights, atol=1e-5)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((2, 0)), "shape"),
        (np.zeros(5), "shape"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[1.0, np.inf]]), "finite"),
        (np.array([[0.0, 1e5]]), "too small"),
        (np.array([[0.0, 1e30]]), "too small"),
    ],
)
def test_bad_features(bad, message):
    with pytest.raises(ValueError, match=message):
        build_lattice(bad)


def test_one_point():
    lattice = build_lattice(np.array([[0.3], [0.4]]))
    value = filter_lattice(lattice, np.ones((1, 1)))[0, 0]
    assert 0.3 < value < 1.2  # the Gaussian's peak, up to the lattice's scale


class TestExact:
    def test_against_dense_algebra(self):
        f, v = features(4, 60), np.random.default_rng(2).normal(size=(3, 60))
        dense = np.exp(-0.5 * np.linalg.norm(f[:, :, None] - f[:, None, :], axis=0) ** 2)
        np.testing.assert_allclose(ExactKernel(f).filter(v), v @ dense, rtol=0, atol=1e-12)

    def test_blocks_agree_with_the_whole(self, monkeypatch):
        f, v = features(2, 41), np.ones((1, 41))
        whole = ExactKernel(f).filter(v)
        monkeypatch.setattr("minideeplab.ops.crf.exact.BLOCK", 100)
        kernel = ExactKernel(f)
        assert len(list(kernel.blocks())) == 21
        np.testing.assert_allclose(kernel.filter(v), whole, rtol=1e-14)

    def test_gaussian_of_known_distance(self):
        assert gaussian(np.zeros((1, 1)), np.full((1, 1), 2.0))[0, 0] == np.exp(-2)
