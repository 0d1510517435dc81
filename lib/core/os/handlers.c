/* SPDX-License-Identifier: BSD-2-Clause */
/* The chain of signal handlers, which handlers.h explains. */
#include "handlers.h"
#include "../base/anew.h"

void fl__handler_pass(struct fl__handler *h, int signal, siginfo_t *info, void *context)
{
	const struct fl__handler *removed = context;
	struct sigaction *below = &h->previous;
	if ((below->sa_flags & FL__HANDLER) != FL__HANDLER)
		return;
	if (!info && below->sa_sigaction == removed->own.sa_sigaction)
		*below = removed->previous;
	else
		below->sa_sigaction(signal, info, context);
}

static void handler_change_chain(void *handler)
{
	struct fl__handler *h = handler, system;
	(void)sigaction(h->signal, NULL, &system.previous);
	if (h->installed) {
		fl__handler_pass(&system, h->signal, NULL, h);
	} else {
		h->previous = system.previous;
		system.previous = h->own;
	}
	h->installed ^= sigaction(h->signal, &system.previous, NULL) == 0;
}

void fl__handler_set(struct fl__handler *h, bool wanted)
{
	FL__UNCOPIED();
	if (h->installed != wanted)
		fl__with_loader_locked(handler_change_chain, h);
}
