"""A view as PNG bytes, quickly: what does not move is drawn once, what moves is drawn over a copy of it."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image


class Picture:
    """The PNG of a view: an object with `figure`, `moving` (dict of named artists) and `frame`.

    `frame` is any value that changes when axes, ticks or other things that stay must be drawn anew.
    """

    def __init__(self, view):
        self.view, self.canvas = view, FigureCanvasAgg(view.figure)
        self._frame = self._background = None
        for artist in view.moving.values():
            artist.set_animated(True)  # left out when matplotlib draws the figure

    def png(self):
        """The picture as the view stands now."""
        figure = self.view.figure
        if self._background is None or self._frame != self.view.frame:
            self.canvas.draw()
            self._background, self._frame = self.canvas.copy_from_bbox(figure.bbox), self.view.frame
        else:
            self.canvas.restore_region(self._background)
        for artist in sorted(self.view.moving.values(), key=lambda artist: artist.get_zorder()):
            figure.draw_artist(artist)
        file = io.BytesIO()
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())[..., :3]).save(file, "png", compress_level=1)
        return file.getvalue()
