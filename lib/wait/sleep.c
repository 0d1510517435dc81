/* SPDX-License-Identifier: BSD-2-Clause */
#include "../base/sys.h"
#include "cancel.h"
#include "lot.h"
#include <errno.h>
#include <fairlead/time.h>

/* A sleep that is over at once: a turn for the others, if the context shares its thread; then it is a wait like any other. */
static int pass(const fl_cancel *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	if (!ctx->ops->yield)
		return 0; /* it does not wait, so nothing can cancel it */
	ctx->ops->yield();
	const fl_cancel *token = fl__cancel_resolve(cancel, ctx);
	return token && fl_cancel_requested(token) ? -ECANCELED : 0;
}

int fl_sleep_until(int64_t deadline, fl_cancel *cancel)
{
	struct fl__wait wait;
	if (fl__is_past(deadline))
		return pass(cancel);
	fl__wait_begin(&wait);
	int rc = fl__wait_sleep(&wait, deadline, cancel); /* in no line: only the time or the token ends it */
	return rc == -ETIMEDOUT ? 0 : rc;
}

int fl_sleep(int64_t ns)
{
	return fl_sleep_until(fl_after(ns), NULL);
}
