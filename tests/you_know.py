#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prints the names that docs/you-know.md must have: the text of tests/you_know.txt.

The names are Python's own (public names of the modules, and public methods of their classes) and those of pthread.h,
semaphore.h and threads.h. LATER has those of Python 3.12 to 3.14, which an older Python cannot list.
"""
import asyncio
import asyncio.subprocess
import concurrent.futures
import multiprocessing
import multiprocessing.connection
import multiprocessing.managers
import multiprocessing.pool
import multiprocessing.queues
import multiprocessing.shared_memory
import multiprocessing.sharedctypes
import multiprocessing.synchronize
import pkgutil
import queue
import re
import threading
import types

LATER = {
    "threading": ["RLock.locked", "Condition.locked", "setprofile_all_threads", "settrace_all_threads"],
    "queue": ["Queue.shutdown", "ShutDown"],
    "multiprocessing": ["Lock.locked", "RLock.locked", "Semaphore.locked", "Condition.locked", "Process.interrupt",
                        "SyncManager.set"],
    "concurrent.futures": ["InterpreterPoolExecutor", "InvalidStateError", "ProcessPoolExecutor.kill_workers",
                           "ProcessPoolExecutor.terminate_workers"],
    "asyncio": ["EventLoop", "FrameCallGraphEntry", "FutureCallGraph", "Queue.shutdown", "QueueShutDown",
                "Server.abort_clients", "Server.close_clients", "Task.get_context", "capture_call_graph",
                "create_eager_task_factory", "eager_task_factory", "format_call_graph", "future_add_to_awaited_by",
                "future_discard_from_awaited_by", "print_call_graph"],
}
OBSOLETE = re.compile(r"\.(acquire_lock|release_lock|locked_lock|n_\w+_fields|n_fields|count|index|exc_\w+|thread)$")


def methods(thing):
    """The public methods and properties of a class, or of an instance with methods of its own."""
    cls = thing if isinstance(thing, type) else type(thing)
    if issubclass(cls, BaseException):
        return set()
    own = set() if isinstance(thing, type) else {n for n, v in getattr(thing, "__dict__", {}).items() if callable(v)}
    return {n for n in {*dir(cls), *own} if not n.startswith("_") and n not in dir(object)}


def names_of(things):
    """The names, and Class.method for what no base in the list has already; `things`: name -> object."""
    classes = {name: thing for name, thing in things.items() if not callable(thing) or isinstance(thing, type)}
    found = set(things)
    for name, thing in classes.items():
        if isinstance(thing, (int, float, str, types.ModuleType)):
            continue
        cls = thing if isinstance(thing, type) else type(thing)
        inherited = {m for other in classes.values() if isinstance(other, type) and other in cls.__mro__[1:]
                     for m in methods(other)}
        found |= {f"{name}.{m}" for m in methods(thing) - inherited}
    return {n for n in found if not OBSOLETE.search(n)}


def public(module, names=None):
    return {n: getattr(module, n) for n in names or module.__all__ if not n.startswith("_")}


def asyncio_things():
    names = {"TaskGroup"}
    for part in pkgutil.iter_modules(asyncio.__path__):
        if part.name not in ("__main__", "proactor_events", "windows_events", "windows_utils"):
            module = __import__("asyncio." + part.name, fromlist=["x"])
            names.update(n for n in getattr(module, "__all__", ()) if hasattr(asyncio, n) and not n.startswith("_"))
    things = public(asyncio, names)
    things["Condition"] = asyncio.Condition()
    things["subprocess.Process"] = asyncio.subprocess.Process
    return {**things, **{f"subprocess.{n}": 0 for n in ("PIPE", "STDOUT", "DEVNULL")}}


def multiprocessing_things():
    lock = multiprocessing.Lock()
    things = public(multiprocessing)
    things.update(Process=multiprocessing.Process, Queue=multiprocessing.queues.Queue,
                  JoinableQueue=multiprocessing.queues.JoinableQueue, SimpleQueue=multiprocessing.queues.SimpleQueue,
                  Lock=lock, RLock=multiprocessing.RLock(), Semaphore=multiprocessing.Semaphore(),
                  BoundedSemaphore=multiprocessing.synchronize.BoundedSemaphore, Condition=multiprocessing.Condition(),
                  Event=multiprocessing.synchronize.Event, Barrier=multiprocessing.synchronize.Barrier,
                  Pool=multiprocessing.pool.Pool, Value=multiprocessing.sharedctypes.Synchronized,
                  Array=multiprocessing.sharedctypes.SynchronizedArray)
    things["pool.ThreadPool"] = multiprocessing.pool.ThreadPool
    things["pool.AsyncResult"] = multiprocessing.pool.AsyncResult
    things["pool.IMapIterator"] = multiprocessing.pool.IMapIterator
    things["connection.Connection"] = multiprocessing.connection.Connection
    for module in ("connection", "shared_memory", "managers", "sharedctypes"):
        for name, thing in public(getattr(multiprocessing, module)).items():
            if not hasattr(multiprocessing, name):
                things[f"{module}.{name}"] = thing
    names = {n.replace("managers.SyncManager.", "SyncManager.") for n in names_of(things)}
    same = {f"{kind}.{m}" for kind in ("RLock", "Semaphore", "Condition") for m in ("acquire", "release")}
    return names | same


def header(file, pattern):
    with open("/usr/include/" + file, encoding="utf-8") as text:
        return set(re.findall(pattern, re.sub(r"/\*.*?\*/", "", text.read(), flags=re.S)))


def sources():
    things = public(threading)
    things.update(Lock=threading.Lock(), RLock=threading.RLock(), Condition=threading.Condition())
    yield "threading", names_of(things)
    yield "queue", names_of(public(queue))
    yield "multiprocessing", multiprocessing_things()
    yield "concurrent.futures", names_of(public(concurrent.futures))
    yield "asyncio", {n.replace("AbstractEventLoop.", "loop.").replace("AbstractServer.", "Server.")
                      for n in names_of(asyncio_things())}
    yield "pthreads", (header("pthread.h", r"\b(pthread_\w+|PTHREAD_\w*INIT\w*) *\(") |
                       header("pthread.h", r"define (PTHREAD_\w*INIT\w*)") |
                       header("x86_64-linux-gnu/bits/sigthread.h", r"\b(pthread_\w+) *\(") |
                       header("semaphore.h", r"\b(sem_\w+) *\("))
    yield "C11 threads.h", header("threads.h", r"\b((?:thrd|mtx|cnd|tss|call)_\w+) *\(") | {"ONCE_FLAG_INIT"}


def main():
    for source, names in sources():
        print(f"[{source}]")
        print("\n".join(sorted({*names, *LATER.get(source, ())})) + "\n")


if __name__ == "__main__":
    main()
