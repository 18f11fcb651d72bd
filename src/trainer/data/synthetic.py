"""Digits drawn by the program itself: the default data without files or a network.

Each digit has a few skeletons, as people write them: curves through control points
that are moved a little for each example, bent by a smooth field, leaned, turned,
and brought to size and centre as MNIST's digits are (20 pixels high or wide, centre
of mass in the middle of 28×28). A pen of random width then draws them: the curve is
splatted onto the canvas as line density, blurred, and cut off at the level that
gives the width, which leaves antialiased edges.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

BLOCK = 1024
"""Examples that share one random stream; draws agree where they agree on blocks."""
TRAIN_COUNT = 10_000
TEST_COUNT = 2_000

SIZE = 28
POINTS = 104  # half a pixel to a pixel apart, mostly: under the pen's blur, no beads
SIGMA = 1.15  # of the pen's blur, in pixels
REACH = 3  # pixels the blur reaches to each side
CHUNK = 48  # examples rendered at once: larger canvases cost page faults at each call

# A line is a digit and its points x,y in per cent of the unit square, y downwards. Curves
# are parted by "|" and run smoothly through their points. The same point twice in a line
# is one point that moves as one: a corner or join of two curves, or the close of a ring.
SKELETONS = """
0 50,2 20,14 8,50 20,86 50,98 80,86 92,50 80,14 50,2
0 62,4 34,10 22,50 32,88 52,97 70,84 77,46 66,14 48,6
0 70,14 44,3 16,22 10,62 32,95 64,92 88,58 84,22 58,8 40,18
1 50,0 50,50 50,100
1 28,22 44,12 54,0 | 54,0 52,50 50,100
1 28,24 44,12 52,0 | 52,0 52,50 52,98 | 26,98 52,98 78,97
1 56,0 52,50 48,100
2 14,24 30,5 60,2 80,20 72,48 44,74 10,97 | 10,97 50,95 92,96
2 12,26 36,2 70,8 78,32 58,64 30,88 12,90 14,76 34,78 62,94 92,88
2 18,18 46,2 78,14 76,40 50,66 16,94 | 16,94 40,86 66,96 92,90
3 16,14 46,2 76,14 74,36 40,47 | 40,47 76,54 86,76 58,97 12,86
3 14,4 50,3 84,5 | 84,5 62,24 44,40 | 44,40 78,48 84,76 54,97 14,88
3 20,16 48,3 72,16 66,36 46,44 40,47 50,48 76,60 78,84 50,98 16,88
4 26,2 20,28 14,54 | 14,54 50,54 92,50 | 74,8 70,50 64,98
4 66,2 40,30 10,62 | 10,62 50,63 94,61 | 66,2 66,50 66,98
4 20,6 16,34 28,54 54,52 78,36 | 84,4 78,36 72,66 66,98
4 18,4 16,30 20,50 | 20,50 48,50 76,46 | 76,6 76,46 74,98
5 30,4 26,24 22,44 | 22,44 50,36 80,52 80,80 48,97 12,88 | 30,4 58,5 86,3
5 88,6 58,5 34,10 | 34,10 30,26 24,42 46,42 76,54 80,78 56,96 16,92
5 90,2 62,6 36,4 | 36,4 24,42 | 24,42 54,38 78,62 62,92 30,97 14,84
6 74,6 44,18 20,52 24,84 50,98 76,86 76,62 52,52 26,66
6 60,0 40,26 26,60 32,90 54,98 74,86 70,66 50,62 28,78
6 82,10 52,4 26,26 14,62 32,94 66,94 82,72 64,54 36,56 18,74
7 10,8 48,7 88,6 | 88,6 66,36 50,66 42,98
7 12,24 14,6 | 14,6 50,7 88,5 | 88,5 68,34 54,64 48,98
7 10,8 50,6 88,8 | 88,8 66,40 48,68 36,98 | 30,54 54,52 82,50
7 12,16 36,6 62,12 84,4 70,30 56,60 52,98
8 76,16 48,2 22,20 40,42 66,58 76,82 50,98 24,82 34,60 60,42 78,22 70,8
8 50,2 26,10 28,36 50,46 74,34 74,10 50,2 | 50,46 22,60 24,90 50,98 76,90 78,60 50,46
8 82,8 52,3 28,20 46,42 70,64 66,92 40,98 24,80 42,56 66,36 84,12
9 76,16 48,2 22,18 22,42 48,52 74,34 76,16 | 76,16 74,56 70,98
9 78,26 58,3 28,10 18,36 40,50 66,40 78,14 | 78,14 78,50 66,84 38,97 18,86
9 72,10 46,4 22,24 30,46 56,42 76,12 72,42 58,70 46,98
9 74,22 50,4 26,20 30,42 54,46 74,30 74,8 | 74,8 74,54 76,98
"""


class _Glyphs(NamedTuple):
    """All skeletons as arrays: V of them, K control points each at most."""

    controls: Floats  # [V, K, 2], x and y in the unit square
    basis: Floats  # [V, POINTS, K]: curve points = basis @ controls
    ink: Floats  # [V, POINTS - 1]: 1 where the pen is down, 0 between curves
    first: NDArray[np.intp]  # [11]: digit d has the glyphs first[d] to first[d + 1]


def draw(count: int, *, seed: int, start: int = 0) -> tuple[Bytes, Bytes]:
    """Draws examples `start` to `start + count` of the endless row that `seed` names.

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
    """Draws the examples `rows` of one block: images [n, 28, 28] and labels [n]."""
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
    """Gives a block's labels, each ten of them shuffled; the blocks share out the rest."""
    tens, rest = divmod(BLOCK, 10)
    full = rng.permuted(np.tile(np.arange(10), (tens, 1)), axis=1)
    last = rng.permutation((block * rest + np.arange(rest)) % 10)
    return np.concatenate([full.ravel(), last]).astype(np.intp)


def _curves(glyph: NDArray[np.intp], jitter: Floats) -> Floats:
    """Gives each example's curve points [n, POINTS, 2] with its controls moved a little."""
    curves = np.empty((len(glyph), POINTS, 2), np.float32)
    for kind in np.unique(glyph):
        of = glyph == kind
        curves[of] = GLYPHS.basis[kind] @ (GLYPHS.controls[kind] + 0.04 * jitter[of])
    return curves


def _bend(curves: Floats, waves: Floats) -> Floats:
    """Moves points [n, POINTS, 2] by two waves of random course, phase and strength."""
    x, y = curves[:, None, :, 0], curves[:, None, :, 1]
    bent = curves.copy()
    for axis in range(2):
        along_x, along_y, phase, strength = np.moveaxis(waves[:, axis, :, None], -1, 0)
        angle = 3 * (along_x * x + along_y * y) + 6 * phase
        bent[..., axis] += (0.04 * strength * np.sin(angle)).sum(1)
    return bent


def _place(curves: Floats, normal: Floats, ink: Floats) -> Floats:
    """Leans, turns, sizes and centres curves; returns pixels [n, POINTS, 2]."""
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
    """Gives the distances [n, POINTS - 1] from each point to the next."""
    steps = np.diff(curves, axis=1)
    return np.sqrt(steps[..., 0] ** 2 + steps[..., 1] ** 2)


def _pen(curves: Floats, ink: Floats, width: Floats) -> Bytes:
    """Draws curves in pixels [n, POINTS, 2] as images uint8 [n, 28, 28]."""
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
    """Blurs along an axis, which loses REACH at each end; a line's ridge comes out as 1."""
    taps = np.exp(-0.5 * (np.arange(REACH + 1) / SIGMA) ** 2)
    taps /= np.sqrt(2 * taps.sum() - 1)
    moved = np.moveaxis(canvas, axis, 0)
    blurred = moved[REACH:-REACH] * np.float32(taps[0])
    for step in range(1, REACH + 1):
        pair = moved[REACH - step : -REACH - step] + moved[REACH + step : len(moved) - REACH + step]
        blurred += pair * np.float32(taps[step])
    return np.moveaxis(blurred, 0, axis)


def _spline(count: int, closed: bool, points: int) -> NDArray[np.float64]:
    """Gives the weights [points, count] of a smooth curve through `count` control points.

    The cubic of E. Catmull and R. Rom, "A class of local interpolating splines" (1974),
    with tension 1/2 and the points evenly spaced in its parameter.
    """
    at = np.linspace(0, count - 1, points)
    eye = np.eye(count)
    before = eye[-2] if closed else 2 * eye[0] - eye[1]
    after = eye[1] if closed else 2 * eye[-1] - eye[-2]
    knots = np.concatenate([[before], eye, [after]])
    span = np.minimum(at.astype(np.intp), count - 2)
    t = (at - span)[:, None]
    return 0.5 * (
        knots[span] * (-t + 2 * t**2 - t**3)
        + knots[span + 1] * (2 - 5 * t**2 + 3 * t**3)
        + knots[span + 2] * (t + 4 * t**2 - 3 * t**3)
        + knots[span + 3] * (t**3 - t**2)
    )


def _glyphs(skeletons: str) -> _Glyphs:
    """Turns the skeletons into arrays; each part between two control points gets as many points."""
    lines = [line.split(" ", 1) for line in skeletons.strip().splitlines()]
    digits, texts = zip(*lines, strict=True)
    names = [list(dict.fromkeys(text.replace("|", "").split())) for text in texts]
    controls = np.zeros((len(texts), max(map(len, names)), 2), np.float32)
    basis = np.zeros((len(texts), POINTS, controls.shape[1]), np.float32)
    ink = np.ones((len(texts), POINTS - 1), np.float32)
    for v, text in enumerate(texts):
        points = [[float(number) / 100 for number in name.split(",")] for name in names[v]]
        controls[v, : len(points)] = points
        curves = [[names[v].index(name) for name in part.split()] for part in text.split("|")]
        spans = np.cumsum([0] + [len(curve) - 1 for curve in curves])
        ends = np.round(POINTS * spans / spans[-1]).astype(int)
        for curve, begin, end in zip(curves, ends[:-1], ends[1:], strict=True):
            weights = _spline(len(curve), curve[0] == curve[-1], end - begin)
            for name, column in zip(curve, weights.T, strict=True):
                basis[v, begin:end, name] += column
            ink[v, end - 1 : end] = 0
    return _Glyphs(controls, basis, ink, np.searchsorted(np.array(digits, int), np.arange(11)))


GLYPHS = _glyphs(SKELETONS)
