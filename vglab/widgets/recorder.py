"""What artists draw, written down as a few primitives that a browser's canvas can repeat.

A matplotlib artist draws itself on a renderer. `Recorder` is a renderer that keeps what it is told, in pixels of the
figure with y downward: whoever repeats it needs to know nothing of axes, scales or transforms.
"""

import base64
import zlib

import numpy as np
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_hex
from matplotlib.path import Path

EIGHTHS, PEN_UP = 8, -32768  # points are 16-bit integers, in eighths of a pixel; PEN_UP begins a new stroke
_CAPS = {"projecting": "square"}


def record(figure, artists=None):
    """List of shapes, dicts of plain values: what `figure` draws without its animated artists, or these `artists`."""
    recorder = Recorder(figure)
    for artist in [figure] if artists is None else artists:
        artist.draw(recorder)
    return recorder.shapes


class Recorder(RendererBase):
    """A renderer that writes down; `shapes` is what it was told.

    Every shape has ``kind`` and, where it applies, ``ink`` (colour of lines and words), ``width``, ``dash``, ``cap``,
    ``fill`` (colour), ``hatch`` (a tile: ``at, side, ink, width``) and ``clip`` (x, y, width, height). The kinds:
    ``path`` (``at``: points), ``marks`` (``shape``, points around 0, to be drawn at every point of ``at``), ``words``
    (``x, y`` of the baseline's left end, ``text``, ``size``, ``bold``, ``angle`` in degrees) and ``image`` (``box``: x,
    y, width, height; ``cells``: columns, rows; ``rgba``: bytes, compressed by zlib, row by row from the top). Points
    and bytes are written in base64.
    """

    def __init__(self, figure):
        super().__init__()
        self.width, self.height = (round(side) for side in figure.bbox.size)
        self.scale, self.shapes = figure.dpi / 72, []
        self.ruler = RendererAgg(self.width, self.height, figure.dpi)

    # what artists ask

    def get_canvas_width_height(self):
        return self.width, self.height

    def points_to_pixels(self, points):
        return points * self.scale

    def option_scale_image(self):
        return True

    def get_text_width_height_descent(self, s, prop, ismath):
        return self.ruler.get_text_width_height_descent(s, prop, ismath)

    # what artists tell

    def draw_path(self, gc, path, transform, rgbFace=None):
        hatch = gc.get_hatch_path()
        if rgbFace is None and hatch is None and not gc.get_linewidth():
            return
        clip = None if rgbFace is not None or hatch is not None else (-9, -9, self.width + 9, self.height + 9)
        points = self._points(path, transform, gc, clip)
        if len(points):
            more = {} if hatch is None else {"hatch": self._hatch(gc, hatch)}
            self._keep("path", gc, rgbFace, at=_packed(points), **more)

    def draw_markers(self, gc, marker_path, marker_trans, path, trans, rgbFace=None):
        places = trans.transform(path.vertices)
        places = places[np.isfinite(places).all(axis=1)]
        if len(places):
            around = self._points(marker_path, marker_trans, None, None) - [0, self.height]
            self._keep("marks", gc, rgbFace, shape=_packed(around), at=_packed([0, self.height] + places * [1, -1]))

    def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        look = {"size": round(prop.get_size_in_points() * self.scale, 2), "angle": float(angle)}
        look |= {"bold": True} if "SemiBold" in str(prop.get_file()) else {}
        self._keep("words", gc, None, x=round(float(x), 2), y=round(float(y), 2), text=s, **look)

    def draw_image(self, gc, x, y, im, transform=None):
        rows, columns = im.shape[:2]
        corners = [[0, 0], [columns, rows]] if transform is None else transform.transform([[0, 0], [1, 1]])
        (left, first), (right, last) = np.add(corners, [x, y])  # the first row lies at `first`, the last at `last`
        im = im[:: 1 if first > last else -1, :: 1 if right > left else -1]
        rgba = base64.b64encode(zlib.compress(np.ascontiguousarray(im).tobytes())).decode()
        box = (min(left, right), self.height - max(first, last), abs(right - left), abs(last - first))
        box = [round(float(v), 2) for v in box]
        self._keep("image", gc, None, box=box, cells=[columns, rows], rgba=rgba)

    def _points(self, path, transform, gc, clip):
        """(n, 2) with rows of NaN between strokes; y downward."""
        width, snap = (0, False) if gc is None else (gc.get_linewidth() * self.scale, gc.get_snap())
        path = path.cleaned(transform, remove_nans=True, clip=clip, curves=False, stroke_width=width, snap=snap)
        vertices, codes = path.vertices, path.codes
        starts = np.flatnonzero(codes == Path.MOVETO)
        pieces = []
        for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
            piece = vertices[start:end][(codes[start:end] == Path.MOVETO) | (codes[start:end] == Path.LINETO)]
            closed = (codes[start:end] == Path.CLOSEPOLY).any()
            pieces += [piece, *([piece[:1]] if closed else []), [[np.nan, np.nan]]]
        return [0, self.height] + np.concatenate(pieces[:-1]) * [1, -1] if pieces else np.empty((0, 2))

    def _hatch(self, gc, path):
        """The strokes of one tile of a hatch, `side` pixels wide and high."""
        side, strokes = self.scale * 72, []
        for segment in path.to_polygons(closed_only=False):
            strokes += [segment * side, [[np.nan, np.nan]]]
        look = {"ink": to_hex(gc.get_hatch_color(), keep_alpha=True), "width": gc.get_hatch_linewidth() * self.scale}
        return look | {"side": side, "at": _packed(np.concatenate(strokes) * [1, -1] + [0, side])}

    def _keep(self, kind, gc, face, **more):
        shape, width = {"kind": kind, **more}, round(gc.get_linewidth() * self.scale, 2)
        if (clip := gc.get_clip_rectangle()) is not None:
            shape["clip"] = [round(float(v), 1) for v in (clip.x0, self.height - clip.y1, clip.width, clip.height)]
        if face is not None:
            shape["fill"] = _colour(face, gc)
        if kind == "words" or (kind != "image" and width):
            shape["ink"] = _colour(gc.get_rgb(), gc)
        if kind != "words" and width and kind != "image":
            shape |= {"width": width, "cap": _CAPS.get(gc.get_capstyle(), gc.get_capstyle())}
            if (dashes := gc.get_dashes()[1]) is not None:
                shape["dash"] = [round(float(v) * self.scale, 2) for v in dashes]
        self.shapes.append(shape)


def _colour(rgb, gc):
    forced = gc.get_forced_alpha() or len(rgb) == 3
    return to_hex((*rgb[:3], gc.get_alpha() if forced else rgb[3]), keep_alpha=True)


def _packed(points):
    eighths = np.clip(np.nan_to_num(np.round(np.asarray(points) * EIGHTHS), nan=PEN_UP), PEN_UP, 32767)
    return base64.b64encode(eighths.astype("<i2").tobytes()).decode()
