"""The launcher `slurm`: runs the agent in a Slurm job. It calls Slurm's commands (sbatch, squeue, ...).

batch      a job that mlogin submits with sbatch
commands   parses the output of Slurm's commands, and makes their environments; no I/O
job        the base class for batch and step
job_files  the files of a job: the script that runs the agent, and the agent's config
launcher   the class SlurmLauncher
options    the user's options for sbatch and srun: refuses what breaks a session
step       a step in a job that already runs: srun --overlap
"""

from __future__ import annotations
