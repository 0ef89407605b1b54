"""Real recorded speech: nine speakers, two vowels, and silence after them."""

from functools import cache
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import torch

from .images import Split

LONGEST = 29  # frames of the longest utterance


def speech(pad=0, *, noise=0.0, seed=0, device="cpu"):
    """Return the *Japanese Vowels* as a `Split`: which of nine speakers said /ae/, asked `pad` frames after the sound.

    x: (270 or 370, 29 + pad, 12) holds 12 LPC cepstrum coefficients a frame (a frame every 6.4 ms), standardized with
    mean and standard deviation of the training frames. Utterances have 7 to 29 frames and end together, at frame 28;
    before them and in the `pad` frames after them is silence, 0, or noise of standard deviation `noise`, drawn from
    `seed`. y: (n,) is the speaker, 0 to 8; 370 test utterances by the same speakers on other occasions.

    Source: M. Kudo, J. Toyama and M. Shimbo (1999), Multidimensional curve classification using passing-through
    regions, Pattern Recognition Letters 20, 1103-1111; UCI Machine Learning Repository, doi:10.24432/C5NS47, CC BY 4.0.
    """
    if not isinstance(pad, Integral) or pad < 0:
        raise ValueError(f"pad is a number of frames and must be a whole number, 0 or more; got {pad!r}.")
    if not isinstance(noise, Real) or not noise >= 0:
        raise ValueError(f"noise is a standard deviation and must be 0 or more; got {noise!r}.")
    generator, parts = torch.Generator().manual_seed(seed), []
    mean, std = (getattr(np, of)(_stored()["train_frames"], axis=0) for of in ("mean", "std"))
    for part in ("train", "test"):
        frames, lengths, speakers = (_stored()[f"{part}_{what}"] for what in ("frames", "lengths", "speakers"))
        x = noise * torch.randn(len(lengths), LONGEST + pad, frames.shape[1], generator=generator)
        spoken = torch.from_numpy((frames - mean) / std)
        for row, utterance in zip(x, spoken.split(lengths.tolist()), strict=True):
            row[LONGEST - len(utterance) : LONGEST] = utterance
        parts += [x.to(device), torch.from_numpy(speakers.astype(np.int64)).to(device)]
    return Split(*parts)


@cache
def _stored():
    with np.load(Path(__file__).with_name("vowels.npz")) as file:
        return dict(file)
