"""Opens a named semaphore with the standard library alone and does with it what it is told on standard input.

multiprocessing.Lock() makes the same object: SemLock(kind=SEMAPHORE, maxvalue=1).
"""

import sys
from _multiprocessing import SemLock

SEMAPHORE = 1

name = sys.argv[1]


def create():
    return SemLock(SEMAPHORE, 1, 1, name, False) is not None


def acquire():
    return opened().acquire(False)


def release():
    opened().release()
    return True


def opened():
    global semaphore
    if semaphore is None:
        semaphore = SemLock._rebuild(0, SEMAPHORE, 1, name)
    return semaphore


def count(path, times):
    """Adds 1 to the number in a file, without any protection but the semaphore."""
    for _ in range(int(times)):
        with opened():
            with open(path) as file:
                number = int(file.read())
            with open(path, "w") as file:
                file.write(str(number + 1))
    return True


semaphore = None
orders = {order.__name__: order for order in (create, acquire, release, count)}
for line in sys.stdin:
    order, *arguments = line.split()
    print(orders[order](*arguments), flush=True)
