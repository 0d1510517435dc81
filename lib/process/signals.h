/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SIGNALS_H
#define FL_PROCESS_SIGNALS_H

#include <signal.h>

/* With the rules of lib/core/base/sys.h. */
struct fl__signals_sys {
	int (*open)(const sigset_t *signals); /* a signalfd: close-on-exec, non-blocking */
	int (*take)(int fd);                  /* takes a pending signal; -EAGAIN: none */
	/* changes the calling thread's mask */
	int (*mask)(int how, const sigset_t *signals, sigset_t *before);
};

extern struct fl__signals_sys fl__signals_sys;

#endif
