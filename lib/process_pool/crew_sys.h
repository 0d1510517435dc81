/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_CREW_SYS_H
#define FL_PROCESS_CREW_SYS_H

#include <fairlead/process.h>
#include <stdbool.h>

/*
 * The calls of the process executor to processes and doorbells: a table like those in
 * lib/base/sys.h and os.h. The model checker (fairlead-stress) replaces workers by threads and runs
 * all the rest in the model.
 */
struct fl__crew_sys {
	bool (*may_start)(void); /* whether there is a way to start workers at all */
	int (*start)(fl_process **p, const fl_process_config *config);
	void (*free)(fl_process *p);
	int (*kill)(fl_process *p);
	int (*try_join)(fl_process *p, fl_process_status *status);
	bool (*is_alive)(fl_process *p);
	int (*sentinel)(const fl_process *p);
	int (*pid)(const fl_process *p);
	const char *(*name)(const fl_process *p);
	void (*ring)(int bell);    /* makes an eventfd readable; fails only if it is */
	void (*silence)(int bell); /* until the next ring */
};

extern struct fl__crew_sys fl__crew_sys;

#endif
