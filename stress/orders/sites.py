#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Lists the atomic operations of an instrumented module, also those that no run reaches.

    sites.py MODULE.so > FILE

It finds them in the machine code. A line has the module, the return address, the operation, the
order, the function, and file:line. `fairlead-stress --mutants --sites FILE` reads the file.
"""
import os
import re
import subprocess
import sys

ORDERS = ("relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst")
CALL = re.compile(r"\t(?:call|bl)\s.*<__tsan_atomic(?:\d+)?_(\w+?)(?:@plt)?>")
ADDRESS = re.compile(r"^\s*([0-9a-f]+):\t")
# Which argument the order is, in the registers of both machines.
ARGUMENT = {"load": 1, "thread_fence": 0, "compare_exchange_strong": 3, "compare_exchange_weak": 3,
            "compare_exchange_val": 3}
REGISTERS = (("edi", "w0"), ("esi", "w1"), ("edx", "w2"), ("ecx", "w3"))
NAMES = {"thread_fence": "fence", "compare_exchange_strong": "compare-exchange",
         "compare_exchange_weak": "compare-exchange", "compare_exchange_val": "compare-exchange", "load": "load",
         "store": "store"}


def order_before(lines, call, operation):
    """Returns the order that the instructions before the call load into its register; ? if unknown."""
    intel, arm = REGISTERS[ARGUMENT.get(operation, 2)]
    put = re.compile(rf"\tmov\s+(?:\$0x([0-9a-f]+),%{intel}|{arm}, #0x([0-9a-f]+))\b")
    for line in reversed(lines[max(0, call - 12):call]):
        if "\tcall " in line or "\tbl\t" in line or line.endswith(">:"):
            break
        found = put.search(line)
        if found:
            order = int(found[1] or found[2], 16)
            return ORDERS[order] if order < len(ORDERS) else "?"
        if re.search(rf"\txor\s+%{intel},%{intel}\b|\tmov\s+{arm}, wzr", line):
            return ORDERS[0]
    return "?"


def sites(module):
    listing = subprocess.run([os.environ.get("OBJDUMP", "objdump"), "-d", "--no-show-raw-insn", module], text=True,
                             check=True, stdout=subprocess.PIPE).stdout.splitlines()
    for i, line in enumerate(listing):
        call = CALL.search(line)
        following = ADDRESS.match(listing[i + 1]) if call and i + 1 < len(listing) else None
        if call and call[1] != "signal_fence" and following:
            yield int(following[1], 16), NAMES.get(call[1], "read-modify-write"), order_before(listing, i, call[1])


def places(module, addresses):
    """Returns function and file:line of each address; of inlined functions, those of the innermost."""
    answer = subprocess.run(["addr2line", "-a", "-f", "-i", "-e", module, *(hex(a - 1) for a in addresses)], text=True,
                            check=True, stdout=subprocess.PIPE).stdout
    blocks = re.split(r"^0x[0-9a-f]+\n", answer, flags=re.M)[1:]
    return [block.splitlines()[:2] for block in blocks]


def main(modules):
    for module in modules:
        found = list(sites(module))
        if not found:
            sys.exit(f"sites.py: objdump shows no atomic operation of {module}")
        for (address, operation, order), (function, where) in zip(found, places(module, [f[0] for f in found])):
            where = os.path.normpath(where.split(" (")[0]).replace(" ", "_")
            print(os.path.basename(module), hex(address), operation, order, function, where)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(sys.argv[1:])
