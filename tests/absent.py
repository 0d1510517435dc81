#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes what the unit tests link with in place of the parts process and loop, where the library has the core alone: `absent.py FILE`.

Each function that a header of these parts declares ends the case that calls it, and tests/run counts that case as skipped. An event
in shared memory, by which tasks of the conformance suite tell how far they are, is an event of this process.
"""
import re
import sys
from os.path import join

import check_layers

HEAD = """#include "fl_test.h"
#include "loop/fiber/scheduler.h"

#ifdef __APPLE__
#define PREFIX "_"
#else
#define PREFIX
#endif

_Thread_local struct fl__sched *fl__sched_current;
const fl_on_type fl__on_pipe, fl__on_process, fl__on_shm_event;

static _Noreturn void absent(const char *name)
{
	(void)dprintf(STDOUT_FILENO, "\\n# absent %s\\n", name);
	for (;;)
		(void)kill(0, SIGKILL);
}

static void absent_table(void)
{
	absent("a table of system calls");
}

void (*fl__poller_sys[64])(void) = {[0 ... 63] = absent_table}, (*fl__shm_sys[64])(void) = {[0 ... 63] = absent_table};

void fl_main(int argc, char **argv)
{
	(void)argc, (void)argv;
}

fl_loop *fl_loop_current(void)
{
	return NULL;
}

static fl_event *event_of(fl_shm_event *e)
{
	return (fl_event *)(void *)&e->word_;
}

int fl_shm_event_set(fl_shm_event *e)
{
	fl_event_set(event_of(e));
	return 0;
}

void fl_shm_event_reset(fl_shm_event *e)
{
	fl_event_reset(event_of(e));
}

/* Sleeps so short that no stand-in replaces the worker: for a wait in shared memory there is none. */
int fl_shm_event_wait_until(fl_shm_event *e, fl_time deadline, fl_cancel_token *cancel)
{
	int rc;
	do
		rc = fl_event_wait_until(event_of(e), fl__earlier(deadline, fl_after(FL_MS(1))), cancel);
	while (rc == -ETIMEDOUT && !fl_time_is_past(deadline));
	return rc;
}
"""
# The function that a header of the core declares, and the part loop has.
ELSEWHERE = {"fl_group_start_with"}


def names_in(paths):
    return {name for path in paths for name in re.findall(r"\b(fl__?\w+)\(", check_layers.COMMENT.sub("", check_layers.text_of(path)))}


def main(path):
    headers = check_layers.Layers().headers
    of = {part: [name for name in check_layers.files_of(join(check_layers.LIB, part)) if name.endswith(".h")]
          for part in ("core", "inspect", "fd", "process", "loop")}
    for header, layer in headers.items():
        of[layer.split("/")[0]].append(join(check_layers.INCLUDE, header))
    private = [name for name in check_layers.files_of(join(check_layers.INCLUDE, "private")) if "/shm_" not in name]
    names = names_in(of["fd"] + of["process"] + of["loop"]) - names_in(of["core"] + of["inspect"] + private) | ELSEWHERE
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD)
        for name in sorted(name for name in names if not re.search(rf"\b{name}\(", HEAD)):
            file.write(f"void absent_{name}(void) __asm__(PREFIX \"{name}\");\nvoid absent_{name}(void)\n{{\n\tabsent(\"{name}()\");\n}}\n")


if __name__ == "__main__":
    main(sys.argv[1])
