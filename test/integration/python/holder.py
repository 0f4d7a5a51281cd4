"""Opens a named semaphore with the standard library alone and does with it what it is told on standard input.

multiprocessing.Lock() makes the same object: SemLock(kind=SEMAPHORE, maxvalue=1).
"""

import sys
import time
from _multiprocessing import SemLock, sem_unlink

SEMAPHORE = 1

name = sys.argv[1]


def create():
    return SemLock(SEMAPHORE, 1, 1, name, False) is not None


def acquire():
    return opened().acquire(False)


def wait(seconds):
    return opened().acquire(True, float(seconds))


def replace():
    """As many programs do at their start: removes what an earlier run may have left, and makes it anew."""
    global semaphore
    sem_unlink(name)
    semaphore = SemLock(SEMAPHORE, 1, 1, name, False)
    return True


def hog(times):
    """Has it nearly all the time: lets go of it, and wants it again at once."""
    for _ in range(int(times)):
        opened().acquire()
        time.sleep(0.005)
        opened().release()
    return True


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
orders = {order.__name__: order for order in (create, acquire, wait, release, replace, hog, count)}
for line in sys.stdin:
    order, *arguments = line.split()
    print(orders[order](*arguments), flush=True)
