"""What the collector still finds after `settle`, in a process of its own: the settings hold for the whole process."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, weakref
from medusa.commands.process import garbage

class Node:
    pass

def circle():
    node = Node()
    node.itself = node
    return weakref.ref(node)

before = circle()
garbage.settle()
young, kept = circle(), [[] for _ in range(3 * garbage.NEW_OBJECTS)]
print("young", young() is None)

full = []
gc.callbacks.append(lambda phase, info: full.append(1) if info["generation"] == 2 and phase == "stop" else None)
node = Node()
node.itself, old = node, weakref.ref(node)
made = 0
while gc.get_count()[2] < 2:
    kept.append([])
del node  # it has survived both looks at new objects
while not full:
    kept.append([])
    made += 1
print("old", old() is None, made > 1_000_000, made < 3_000_000)
print("frozen", before() is not None)
"""


def test_circles_are_still_freed_but_those_of_the_start_are_not_looked_for() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["young True", "old True True True", "frozen True"]
