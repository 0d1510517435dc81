/* SPDX-License-Identifier: BSD-2-Clause */
#include "../base/sys.h"
#include "cancel.h"
#include "lot.h"
#include <errno.h>
#include <fairlead/time.h>

/*
 * A sleep whose deadline is past. Other contexts of the thread, if any, run first; then the sleep
 * counts as a wait, which a token can cancel.
 */
static int wait_yield_once(const fl_cancel_token *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	if (!ctx->ops->yield)
		return 0; /* no wait, so no cancel */
	ctx->ops->yield();
	const fl_cancel_token *token = fl__cancel_resolve(cancel, ctx);
	return token && fl_cancel_token_is_requested(token) ? -ECANCELED : 0;
}

int fl_sleep_until(int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__wait wait;
	if (fl__is_past(deadline))
		return wait_yield_once(cancel);
	fl__wait_begin(&wait);
	/* in no queue: ends by the deadline or the token */
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	return rc == -ETIMEDOUT ? 0 : rc;
}
