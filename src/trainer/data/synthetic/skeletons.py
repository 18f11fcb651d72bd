"""Skeletons of the ten digits as people write them, a few of each: points and smooth curves."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

POINTS = 104  # half a pixel to a pixel apart, mostly: under the pen's blur, no beads

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


class Glyphs(NamedTuple):
    """All skeletons as arrays: V of them, K control points each at most."""

    controls: NDArray[np.float32]  # [V, K, 2], x and y in the unit square
    basis: NDArray[np.float32]  # [V, POINTS, K]: curve points = basis @ controls
    ink: NDArray[np.float32]  # [V, POINTS - 1]: 1 where the pen is down, 0 between curves
    first: NDArray[np.intp]  # [11]: digit d has the glyphs first[d] to first[d + 1]


def _spline(count: int, closed: bool, points: int) -> NDArray[np.float64]:
    """Return the weights [points, count] of a smooth curve through `count` control points.

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


def _glyphs(skeletons: str) -> Glyphs:
    """Turn the skeletons into arrays; each part between two control points gets as many points."""
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
    return Glyphs(controls, basis, ink, np.searchsorted(np.array(digits, int), np.arange(11)))


GLYPHS = _glyphs(SKELETONS)
