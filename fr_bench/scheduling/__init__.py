"""Which capacity each network of a phone runs at: NestDNN's online stage, specified in
`docs/scheduler.md`.

B. Fang, X. Zeng and M. Zhang, "NestDNN: Resource-Aware Multi-Tenant On-Device Deep Learning for
Continuous Mobile Vision", MobiCom 2018, arXiv 1810.10090. Plain Python: no numpy, no Keras. The
Kotlin module `android_demo/scheduler` makes the same choices.
"""

from fr_bench.scheduling._applications import Application, Capacity, capacities
from fr_bench.scheduling._choice import POLICIES, Plan, Share, choose
from fr_bench.scheduling._scheduler import Scheduler

__all__ = [
    "Application",
    "Capacity",
    "POLICIES",
    "Plan",
    "Scheduler",
    "Share",
    "capacities",
    "choose",
]
