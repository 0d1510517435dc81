/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timeouts of a context's waits: a token with a deadline that becomes the cancel scope. `before_`
 * is the outer scope, and `context_` is NULL if the timeout has not begun.
 */
#include "../base/panic.h"
#include "../base/sys.h"
#include "context.h"
#include <fairlead/cancel.h>

void fl_timeout_begin(fl_timeout *t, fl_time deadline)
{
	struct fl__ctx *ctx = fl__ctx_get();
	if (t->context_)
		fl__panic("fl_timeout_begin", t, "begun before, and not ended");
	fl_cancel_token_init(&t->token_, NULL, deadline);
	t->before_ = ctx->front.scope;
	t->deadline_ = deadline;
	t->context_ = ctx;
	ctx->front.scope = &t->token_;
}

int fl_timeout_end(fl_timeout *t, int rc)
{
	struct fl__ctx *ctx = t->context_;
	if (!ctx)
		return rc;
	if (ctx != fl__ctx_get() || ctx->front.scope != &t->token_)
		fl__panic("fl_timeout_end", t, "not the scope of the calling context");
	ctx->front.scope = t->before_;
	fl_cancel_token_destroy(&t->token_);
	t->context_ = NULL;
	bool ours = rc == -ECANCELED && fl__is_expired(t->deadline_) && !fl_cancel_token_is_requested(NULL);
	return ours ? -ETIMEDOUT : rc;
}
