"""Digits drawn by the program itself: the default data without files or a network.

Each digit has a few skeletons, as people write them: curves through control points
that are moved a little for each example, bent by a smooth field, leaned, turned,
and brought to size and centre as MNIST's digits are (20 pixels high or wide, centre
of mass in the middle of 28×28). A pen of random width then draws them: the curve is
splatted onto the canvas as line density, blurred, and cut off at the level that
gives the width, which leaves antialiased edges.
"""

import numpy as np
from numpy.typing import NDArray

from trainer.data.synthetic.skeletons import GLYPHS, POINTS

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

BLOCK = 1024
"""Examples that share one random stream; draws agree where they agree on blocks."""
TRAIN_COUNT = 10_000
TEST_COUNT = 2_000

SIZE = 28
SIGMA = 1.15  # of the pen's blur, in pixels
REACH = 3  # pixels the blur reaches to each side
CHUNK = 48  # examples rendered at once: larger canvases cost page faults at each call


def draw(count: int, *, seed: int, start: int = 0) -> tuple[Bytes, Bytes]:
    """Draw examples `start` to `start + count` of the endless row that `seed` names.

    An example depends only on the seed and its place in the row, so parts may be
    drawn apart. Counted from a block's start, every ten hold each digit once, so that
    short draws are balanced, too; the four left over at its end take turns.

    Args:
        count: How many examples, 0 or more.
        seed: Any integer; taken modulo 2**64.
        start: The first example's place in the row, 0 or more.

    Returns:
        Images, uint8 [count, 28, 28, 1], white (255) on black, and labels, uint8
        [count], 0 to 9. The same numpy on the same kind of processor gives the same
        bytes; elsewhere a rounding may move a pixel by a level.

    Raises:
        ValueError: If count or start is negative.
    """
    if count < 0 or start < 0:
        raise ValueError(f"count and start must be 0 or more, not {count} and {start}")
    images = np.empty((count, SIZE, SIZE, 1), np.uint8)
    labels = np.empty(count, np.uint8)
    done = 0
    while done < count:
        block, offset = divmod(start + done, BLOCK)
        rows = slice(offset, min(BLOCK, offset + count - done))
        to = slice(done, done + rows.stop - rows.start)
        images[to, :, :, 0], labels[to] = _draw_block(seed, block, rows)
        done = to.stop
    return images, labels


def _draw_block(seed: int, block: int, rows: slice) -> tuple[Bytes, Bytes]:
    """Draw the examples `rows` of one block: images [n, 28, 28] and labels [n]."""
    rng = np.random.Generator(np.random.Philox(key=np.array([seed % 2**64, block], np.uint64)))
    labels = _labels(rng, block)
    # All of the block's numbers are drawn whatever rows are asked for, so that
    # part of a block is the same as in the whole.
    choice = rng.random(BLOCK)
    jitter = rng.standard_normal((BLOCK, *GLYPHS.controls.shape[1:]), np.float32).clip(-2, 2)
    waves = rng.standard_normal((BLOCK, 2, 2, 4), np.float32)
    normal = rng.standard_normal((BLOCK, 7), np.float32).clip(-2.2, 2.2)
    first, after = GLYPHS.first[labels], GLYPHS.first[labels + 1]
    glyph = first + np.floor(choice * (after - first)).astype(np.intp)
    labels, glyph, normal = labels[rows], glyph[rows], normal[rows]
    curves = _bend(_curves(glyph, jitter[rows]), waves[rows])
    curves = _place(curves, normal, GLYPHS.ink[glyph])
    images = np.empty((len(labels), SIZE, SIZE), np.uint8)
    for begin in range(0, len(labels), CHUNK):
        part = slice(begin, begin + CHUNK)
        images[part] = _pen(curves[part], GLYPHS.ink[glyph[part]], normal[part, 6])
    return images, labels.astype(np.uint8)


def _labels(rng: np.random.Generator, block: int) -> NDArray[np.intp]:
    """Return a block's labels, each ten of them shuffled; the blocks share out the rest."""
    tens, rest = divmod(BLOCK, 10)
    full = rng.permuted(np.tile(np.arange(10), (tens, 1)), axis=1)
    last = rng.permutation((block * rest + np.arange(rest)) % 10)
    return np.concatenate([full.ravel(), last]).astype(np.intp)


def _curves(glyph: NDArray[np.intp], jitter: Floats) -> Floats:
    """Return each example's curve points [n, POINTS, 2] with its controls moved a little."""
    curves = np.empty((len(glyph), POINTS, 2), np.float32)
    for kind in np.unique(glyph):
        of = glyph == kind
        curves[of] = GLYPHS.basis[kind] @ (GLYPHS.controls[kind] + 0.04 * jitter[of])
    return curves


def _bend(curves: Floats, waves: Floats) -> Floats:
    """Move points [n, POINTS, 2] by two waves of random course, phase and strength."""
    x, y = curves[:, None, :, 0], curves[:, None, :, 1]
    bent = curves.copy()
    for axis in range(2):
        along_x, along_y, phase, strength = np.moveaxis(waves[:, axis, :, None], -1, 0)
        angle = 3 * (along_x * x + along_y * y) + 6 * phase
        bent[..., axis] += (0.04 * strength * np.sin(angle)).sum(1)
    return bent


def _place(curves: Floats, normal: Floats, ink: Floats) -> Floats:
    """Lean, turn, size and centre curves; return pixels [n, POINTS, 2]."""
    lean, turn, width, size, right, down = (normal[:, k, None] for k in range(6))
    x, y = curves[..., 0] - 0.5, curves[..., 1] - 0.5
    x = x * (0.85 * np.exp(0.18 * width)) - (0.15 + 0.19 * lean) * y
    angle = 0.15 * turn
    sine, cosine = np.sin(angle), np.cos(angle)
    x, y = cosine * x - sine * y, sine * x + cosine * y
    longest = np.maximum(np.ptp(x, axis=1), np.ptp(y, axis=1))[:, None]
    scale = 17.2 * np.exp(0.05 * size) / longest
    placed = np.stack([x * scale, y * scale], axis=-1)
    mass = _lengths(placed) * ink
    middle = (mass[..., None] * placed[:, :-1]).sum(1) / mass.sum(1)[:, None]
    shift = 0.6 * np.concatenate([right, down], axis=1)
    placed += (SIZE / 2 - 0.5 - middle + shift)[:, None]
    return np.clip(placed, 0.5, SIZE - 1.5, out=placed)


def _lengths(curves: Floats) -> Floats:
    """Return the distances [n, POINTS - 1] from each point to the next."""
    steps = np.diff(curves, axis=1)
    return np.sqrt(steps[..., 0] ** 2 + steps[..., 1] ** 2)


def _pen(curves: Floats, ink: Floats, width: Floats) -> Bytes:
    """Draw curves in pixels [n, POINTS, 2] as images uint8 [n, 28, 28]."""
    count, side = len(curves), SIZE + 2 * REACH
    middles = (curves[:, 1:] + curves[:, :-1]) * 0.5 + REACH
    corner = middles.astype(np.int32)
    fx, fy = np.moveaxis(middles - corner, -1, 0)
    mass = _lengths(curves) * ink
    at = corner[..., 1] * side + corner[..., 0] + np.arange(count)[:, None] * side**2
    # One bincount for the four pixels around each point: four would each make a canvas.
    pixels = at + np.array([0, 1, side, side + 1])[:, None, None]
    shares = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]) * mass
    canvas = np.bincount(pixels.ravel(), shares.ravel(), count * side**2)
    density = _blur(_blur(canvas.astype(np.float32).reshape(count, side, side), 1), 2)
    # A line's density falls off as exp(-d²/2σ²) at distance d: the level is the pen's half
    # width, and the gain makes the edge about a pixel wide.
    half = 1.3 + 0.3 * np.maximum(width, -1.5)
    level = np.exp(-0.5 * (half / SIGMA) ** 2)
    gain = 0.8 * SIGMA**2 / (half * level)
    light = (density - level[:, None, None]) * gain[:, None, None] + 0.5
    return (np.clip(light, 0, 1) * 255 + 0.5).astype(np.uint8)


def _blur(canvas: Floats, axis: int) -> Floats:
    """Blur along an axis, which loses REACH at each end; a line's ridge comes out as 1."""
    taps = np.exp(-0.5 * (np.arange(REACH + 1) / SIGMA) ** 2)
    taps /= np.sqrt(2 * taps.sum() - 1)
    moved = np.moveaxis(canvas, axis, 0)
    blurred = moved[REACH:-REACH] * np.float32(taps[0])
    for step in range(1, REACH + 1):
        pair = moved[REACH - step : -REACH - step] + moved[REACH + step : len(moved) - REACH + step]
        blurred += pair * np.float32(taps[step])
    return np.moveaxis(blurred, 0, axis)
