/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SIGNALS_SYS_H
#define FL_PROCESS_SIGNALS_SYS_H

#include <signal.h>

/*
 * What fl_signals asks of the system: the continuation of lib/base/sys.h's table, with the same rules. Results are 0, a descriptor
 * or a signal, or a negative errno; errno stays as it is.
 */
struct fl__signals_sys {
	int (*open)(const sigset_t *signals); /* a signalfd: close-on-exec, does not block */
	int (*take)(int fd);                  /* the number of one that is pending; -EAGAIN */
	int (*mask)(int how, const sigset_t *signals, sigset_t *before); /* of the calling thread */
};

extern struct fl__signals_sys fl__signals_sys;

#endif
