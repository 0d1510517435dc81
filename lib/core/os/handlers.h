/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <signal.h>
#include <stdbool.h>

/*
 * This file installs and removes the library's handlers of signals. Several plugins may each have a
 * copy of the library, and one copy may have two handlers of a signal. The handlers of a signal are
 * a chain: the system has the one that was installed last, and the `previous` of each is the action
 * below it, down to the program's. They may be removed in any order.
 *
 * Invariant 1. Neither the `previous` of a handler nor the system's action is a handler that was
 * removed. A removal calls the first handler of the chain, with NULL in place of a siginfo_t, and
 * with the struct of the handler that is to be removed. Each handler passes the call on to the
 * handler below it, down to the handler whose `previous` is to be removed. That handler takes over
 * the `previous` of the removed handler. If the removed handler is the first one, its `previous`
 * becomes the system's action instead. A handler of any copy is recognised by the flags
 * FL__HANDLER. Two of these flags, SA_NOCLDSTOP and SA_NOCLDWAIT, mean something for SIGCHLD alone.
 * So no chain may be of SIGCHLD. The chain changes under the loader's lock, which all copies share.
 *
 * The library cannot tell code of others that a handler was removed. If such code has installed its
 * handler above one of the library's, and calls the library's, it must have stopped doing so when
 * the copy is unloaded (docs/in-your-process.md). Nor must the program's handler of such a signal
 * take over the flags of the handler that it found: an unload would call it without a siginfo_t.
 *
 * Why there is a chain. A process has one handler for a signal, and may have several copies of the
 * library. A copy that is unloaded, or switches debugging off, takes its handler out of this chain,
 * wherever it stands. So each copy that wants the signal of debugging answers it, and the copies
 * may be unloaded in any order.
 */
enum { FL__HANDLER = SA_SIGINFO | SA_NOCLDSTOP | SA_NOCLDWAIT };

struct fl__handler {
	struct sigaction own, previous; /* copies of any version read these two */
	int signal;
	bool installed;
};

/*
 * Installs or removes the handler, unless that was done. `installed` stays false if the system
 * refuses the signal. The caller holds a lock. Meanwhile no child is made, which would find a
 * handler that is half installed.
 */
void fl__handler_set(struct fl__handler *h, bool wanted);

/*
 * Called by each handler, with its arguments. Calls the handler below, if that is one of the
 * library's. If `info` is NULL, the call is for a removal, and `context` is the struct of the
 * handler that is removed. Then, if that is the handler below, takes it out of the chain instead.
 */
void fl__handler_pass(struct fl__handler *h, int signal, siginfo_t *info, void *context);
