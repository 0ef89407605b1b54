"""What torch is doing just now: the few of its semi-private names that the probe leans on, in one place."""

import torch

# Whether autograd tells if a tensor that it kept is there, or would have to be computed again; torch 2.9 does not.
TELLS_WHAT_IT_KEPT = hasattr(torch._C._autograd.SavedTensor, "unpack_hook")


def elsewhere():
    """Whether the call now running is not an ordinary one: torch traces or transforms it."""
    return torch._C._are_functorch_transforms_active() or torch._C._get_tracing_state() is not None


def next_number():
    """The sequence number that autograd's next node will get in this thread."""
    return torch._C._autograd._get_sequence_nr()


def backward_task():
    """A number above 0 that tells the backward pass now running from others; 0 outside of one."""
    return torch._C._current_graph_task_id() + 1
