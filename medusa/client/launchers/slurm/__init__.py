"""The launcher `slurm`: a session in a Slurm job, through Slurm's own commands.

batch     a job of our own: sbatch
commands  what Slurm's commands print, as values; pure
job       what batch and step share
launcher  the launcher itself
step      a step in a job that already runs: srun --overlap
"""

from __future__ import annotations
