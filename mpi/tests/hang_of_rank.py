#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`hang_of_rank.py PID` checks that gdb says what the task of that rank waits for."""
import os
import re
import subprocess
import sys
import time

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "gdb", "fairlead.py")
CAUSE = r"event never at 0x\w+ \(not set\)\n +waits: worker-0 (.*\n)+ +#\d hang"

end = time.monotonic() + 80
said = ""
while not re.search(CAUSE, said):  # at first the task does not wait yet
    assert time.monotonic() < end, said
    said = subprocess.run(["gdb", "-nx", "-batch", "-x", SCRIPT, "-p", sys.argv[1], "-ex", "fl waits"], text=True, check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
    if "ptrace: Operation not permitted" in said:
        print("gdb may not attach here")
        break
