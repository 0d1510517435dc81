/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <signal.h>
#include <stdbool.h>

/*
 * Installs and removes the library's signal handlers. A process has only one handler of a signal,
 * but several plugins may each contain a copy of the library, and one copy may have two handlers of
 * a signal. So the handlers of a signal form a chain: the system knows the one that was installed
 * last, and each handler's `previous` is the action below it, down to the program's. Therefore each
 * copy that wants the signal of debugging answers it, and a copy that is unloaded or switches
 * debugging off removes its handler from the chain, wherever it is. The order does not matter.
 *
 * Invariant 1. No handler's `previous`, nor the system's action, is a handler that was removed. To
 * remove a handler, a copy calls the first handler of the chain, with NULL instead of a siginfo_t,
 * and with the struct of the handler to be removed. Each handler passes the call to the handler
 * below it, until one finds that its `previous` is the handler to be removed, and replaces it by
 * that handler's own `previous`. If the first handler is to be removed, its `previous` becomes the
 * system's action instead. A handler of any copy is recognised by the flags FL__HANDLER. Two of
 * these flags, SA_NOCLDSTOP and SA_NOCLDWAIT, have a meaning for SIGCHLD, so there must be no chain
 * of SIGCHLD. The chain changes under the loader's lock, which all copies share.
 *
 * The library cannot tell other code that a handler was removed. If such code has installed its
 * handler above one of the library's, and calls the library's, it must stop doing so before the
 * copy is unloaded (docs/in-your-process.md). Nor may the program's handler of such a signal copy
 * the flags of the handler that it found, because an unload would call it without a siginfo_t.
 */
enum { FL__HANDLER = SA_SIGINFO | SA_NOCLDSTOP | SA_NOCLDWAIT };

struct fl__handler {
	struct sigaction own, previous; /* copies of any version read these two members */
	int signal;
	bool installed;
};

/*
 * Installs or removes the handler, unless that is already done. `installed` stays false if the
 * system refuses the signal. The caller holds a lock. No fork happens meanwhile, because the child
 * would find a handler that is half installed.
 */
void fl__handler_set(struct fl__handler *h, bool wanted);

/*
 * Called by each handler, with its arguments. Calls the handler below, if that is one of the
 * library's. If `info` is NULL, the call is for a removal, and `context` is the struct of the
 * handler to be removed; if that is the handler below, removes it from the chain instead of calling
 * it.
 */
void fl__handler_pass(struct fl__handler *h, int signal, siginfo_t *info, void *context);
