"""When weights go: how sparse each training step leaves them, computed from the number of steps.

TFMOT's own default looks at the weights every 100 steps, so that a shorter run prunes nothing and
says nothing (tensorflow_model_optimization/python/core/sparsity/keras/pruning_schedule.py).
"""

import dataclasses

from tfx_shrink.parameters import require_one_of

SCHEDULES = ("polynomial", "constant")

# Share of the steps that may still remove weights; the others let the model recover.
_PRUNING_SHARE = 0.8
# Masks are made anew about this often; more costs time and changes little.
_UPDATES = 100
_POWER = 3


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How sparse weights are after each step, counted from 1.

    Attributes:
      name: `"polynomial"`: from 0, fast at first, to the target (Zhu and Gupta, 2017).
        `"constant"`: at the target from the first step on.
      target: The sparsity at the end.
      begin: The first step that makes masks.
      end: The last one.
      every: Steps from one that makes masks to the next; `end` is one of them.
    """

    name: str
    target: float
    begin: int
    end: int
    every: int

    def makes_masks(self, step: int) -> bool:
        """Tells whether masks are made anew at a step."""
        return self.begin <= step <= self.end and (step - self.begin) % self.every == 0

    def sparsity(self, step: int) -> float:
        """Returns the share of zeros from a step on."""
        if self.name == "constant" or self.begin == self.end:
            return self.target
        done = min(1.0, (step - self.begin) / (self.end - self.begin))
        return self.target * (1 - (1 - done) ** _POWER)


def make_schedule(name: str, target: float, num_steps: int) -> Schedule:
    """Returns the schedule of a training run; its last fifth, or more, removes nothing.

    Args:
      name: One of `SCHEDULES`.
      target: Share of zeros at the end.
      num_steps: Steps of the whole run, at least 1.

    Raises:
      ParameterError: There is no schedule of this name.
    """
    require_one_of("schedule", name, SCHEDULES)
    last = max(1, int(num_steps * _PRUNING_SHARE))
    every = max(1, last // _UPDATES)
    end = last - (last - 1) % every
    return Schedule(name, target, 1, end, every)
