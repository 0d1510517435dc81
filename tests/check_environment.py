# SPDX-License-Identifier: BSD-2-Clause
"""Checks what the library reads from the environment: each read is in READS, and by secure_getenv().

A program that has more rights than its user must not obey the user's variables. A case of tests/run.
"""
import glob
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
READS = {
    ("lib/inspect/debug.c", 'secure_getenv("FL_DEBUG")'),
    ("lib/core/hooks.c", 'secure_getenv("FL_DEBUG")'),
    ("lib/core/sync/thread.c", 'secure_getenv("FL_CPUS")'),
    ("lib/core/sync/polling.c", 'secure_getenv("FL_POLL")'),
    ("lib/core/hooks.c", 'secure_getenv("FL_TRACE")'),
    ("lib/inspect/trace.c", 'secure_getenv("FL_TRACE")'),
    ("lib/core/hooks.h", "secure_getenv(FL__REEXEC_VARIABLE)"),  # FAIRLEAD_PROCESS
    ("lib/inspect/trace.c", "secure_getenv(FL__REEXEC_VARIABLE)"),
    ("lib/process/start/reexec.c", "secure_getenv(FL__REEXEC_VARIABLE)"),
    # Whether it is set: a set-uid program is told why it takes on no role.
    ("lib/process/start/reexec.c", "getenv(FL__REEXEC_VARIABLE)"),
    # The program's own variable, as in execvp(3): a set-uid program sets it before it starts
    # others.
    ("lib/process/start/program.c", 'getenv("PATH")'),
    # What secure_getenv() is on macOS.
    ("lib/core/os/macos.h", "secure_getenv(name)"),
    ("lib/core/os/macos.h", "getenv(name)"),
    # Open MPI's transports.
    ("mpi/engine.c", 'secure_getenv("OMPI_MCA_btl")'),
    # The launcher's variables, and the mark of a rank, FAIRLEAD_MPI.
    ("mpi/start.c", "secure_getenv(variable)"),
    ("mpi/start.c", "secure_getenv(l->rank_variable)"),
    ("mpi/start.c", 'secure_getenv("PMIX_NAMESPACE")'),
    ("mpi/start.c", 'secure_getenv("OMPI_COMM_WORLD_SIZE")'),
    ("mpi/start.c", 'secure_getenv("PMI_RANK")'),
}


def reads():
    """The file and the text of each read in the library and in fairlead-mpi."""
    for pattern in ("lib/**/*.[ch]", "mpi/*.[ch]", "mpi/include/**/*.h", "include/**/*.h"):
        for path in glob.glob(os.path.join(ROOT, pattern), recursive=True):
            with open(path, encoding="utf-8") as file:
                for call in re.findall(r"\w*getenv\s*\([^)]*\)", file.read()):
                    yield os.path.relpath(path, ROOT), call


def complaints():
    found = set(reads())
    return [*(f"{path}: {call}: not in READS" for path, call in sorted(found - READS)),
            *(f"{path}: {call}: in READS, but not in the file" for path, call in sorted(READS - found))]
