"""The template of a read-out in training: energies, loss and all gradients, a tile of rows a unit.

A generated module (``learning.py``) defines the register tiles and goes on with what lies below the mark;
here the names come from ``stencil``, so that this file reads as plain Python. Rows go through in blocks that
stay in the first caches; sums are taken in the order of the rows, so no bit knows of threads or of the pack.
"""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import math

import numba as nb

from memspan.kernels.cpu.floats import add_floats, copy_floats, pack_block, sum_floats, zero_floats
from memspan.kernels.cpu.sampling import largest, weigh
from memspan.kernels.cpu.stencil import *
from memspan.linked import entry, linked
from memspan.simd import *

# ---- the generated module continues from here ----


@linked
def pack_read_out(j):
    """Lay W (C, H) and b out in panels of two vectors: for h · Wᵀ and for dz · W; padding is zero."""
    width, target = 2 * LANES, j.panels
    for first in range(0, j.wide, width):
        for block in range(0, width, LANES):
            source = j.weight + 4 * (first + block) * j.H
            pack_block(target + 4 * block, 4 * width, source, j.H, min(LANES, j.C - first - block))
        target += 4 * width * j.H
    target = j.panels_back
    for first in range(0, j.H, width):
        valid = min(width, j.H - first)
        for k in range(j.K8):
            zero_floats(target, width)
            if k < j.C:
                copy_floats(target, j.weight + 4 * (k * j.H + first), valid)
            target += 4 * width
    zero_floats(j.start, j.wide)
    copy_floats(j.start, j.bias, j.C)


@linked
def enter_features(j, first, n):
    """Copy n rows of features beside padding."""
    for r in range(n):
        copy_floats(j.h + r * j.lh, j.features + 4 * (first + r) * j.H, j.H)


@linked
def energies_of(j, n):
    """z = h Wᵀ + b."""
    panel = 8 * LANES
    for p in range(j.wide // (2 * LANES)):
        w, r = j.panels + p * panel * j.H, 0
        while r < n:
            m = energy_rows(n - r, j.h + r * j.lh, j.lh, j.starts, p * panel, w, j.H, nb.intp(0), j.z)
            for i in range(m):
                copy_floats(j.dz + (r + i) * j.lz + p * panel, j.z + i * panel, panel // 4)
            r += m


@linked
def is_first_largest(z, target, top):
    """Whether the energy of the target is the largest, and none before it is as large."""
    mine = fload(z + 4 * target)
    for k in range(target):
        if fload(z + 4 * k) >= mine:
            return False
    return mine >= top


@linked
def judge_class(j, z, target, scale, share):
    """Turn one answer's energies into their gradient; return its cross-entropy and whether it is right."""
    padded = (j.K + LANES - 1) // LANES * LANES
    for k in range(padded - LANES, padded):
        fstore(j.chances + 4 * k, F(-math.inf))
    copy_floats(j.chances, z, j.K)
    top, mine = largest(j.chances, padded), fload(z + 4 * target)
    right = is_first_largest(z, target, top)
    total = weigh(j.chances, j.chances, j.K, padded, top, scale)
    for k in range(0, 4 * padded, VECTOR_BYTES):
        vstore(j.chances + k, vload(j.chances + k) * (share / total))
    copy_floats(z, j.chances, j.K)
    fstore(z + 4 * target, fload(z + 4 * target) - share)
    return math.log(total) - scale * (mine - top), right


@linked
def judge_row(j, row, z, scale):
    """Turn a row's energies into their gradient; return its loss and whether all answers are right."""
    share, loss, right = scale / F(j.N), 0.0, True
    for a in range(j.A):
        target = j.targets + 8 * (row * j.A + a)
        if j.K:
            lost, hit = judge_class(j, z + 4 * a * j.K, iload(target), scale, share)
            loss, right = loss + lost, right and hit
        else:
            distance = scale * fload(z + 4 * a) - F(dload(target))
            fstore(z + 4 * a, F(2.0) * share * distance)
            loss, right = loss + distance * distance, False
    for k in range(j.C, j.K8):
        fstore(z + 4 * k, F(0.0))
    return loss, right


@linked
def back_to_features(j, first, n):
    """dh = dz W."""
    width = 2 * LANES
    for p in range((j.H + width - 1) // width):
        w, r = j.panels_back + 4 * p * j.K8 * width, 0
        while r < n:
            r += product_set_rows(
                n - r, j.dz + r * j.lz, j.lz, w, j.K8, j.dh + r * j.lh + 4 * p * width, j.lh
            )
    for r in range(n):
        copy_floats(j.d_features + 4 * (first + r) * j.H, j.dh + r * j.lh, j.H)


@linked
def back_to_read_out(j, n):
    """dW += dzᵀ h and db += Σ dz over n rows."""
    columns = 4 * ((j.H + 2 * LANES - 1) // (2 * LANES) * 2 * LANES)
    istore(j.count, n)
    r = 0
    while r < j.K8:
        a, c = j.dz + 4 * r, j.dw + r * j.lh
        r += gradient_rows(j.K8 - r, columns, a, j.lz, 0, j.h, j.lh, 0, c, j.lh, j.count, nb.intp(1))
    for r in range(n):
        add_floats(j.db, j.dz + r * j.lz, j.C)


@entry(ENTRY)
def read_out(jobs, first, last):
    """Read out the tiles first … last − 1; those of one replica share its packed weights."""
    flush_denormals(jobs[first].modes)
    for u in range(first, last):
        j = jobs[u]
        if j.fresh:
            pack_read_out(j)
            for r in range(BLOCK):
                istore(j.starts + 8 * r, j.start)
        zero_floats(j.dw, j.K8 * j.lh // 4)
        zero_floats(j.db, j.C)
        loss, hits, scale = 0.0, 0.0, F(dload(j.scale))
        for block in range(0, j.rows, BLOCK):
            n = min(nb.intp(BLOCK), j.rows - block)
            enter_features(j, block, n)
            energies_of(j, n)
            for r in range(n):
                lost, right = judge_row(j, block + r, j.dz + r * j.lz, scale)
                loss, hits = loss + lost, hits + right
            back_to_features(j, block, n)
            back_to_read_out(j, n)
        dstore(j.sums, loss)
        dstore(j.sums + 8, hits)
    restore_modes(jobs[first].modes)


@entry(ENTRY)
def gather_read_out(jobs, first, last):
    """Sum what the tiles of whole replicas found, in the order of the tiles."""
    replica = -1
    for u in range(first, last):
        j = jobs[u]
        new, replica = j.replica != replica, j.replica
        for k in range(j.C):
            sum_floats(new, j.d_weight + 4 * k * j.H, j.dw + k * j.lh, j.H)
        sum_floats(new, j.d_bias, j.db, j.C)
        for at in (0, 8):
            mean = dload(j.sums + at) / j.N
            dstore(j.shown + at, mean if new else dload(j.shown + at) + mean)
