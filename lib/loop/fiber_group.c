/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fibers as members of a group. exec/group.c has the tables. The token of such a fiber is a child
 * of the group's token, and the fiber is detached: the group alone waits for it.
 *
 * A fiber that a callback starts as the first member has no scope of a caller. The group is then
 * below the token of the loop. A group that began elsewhere, by fl_group_token() or on another
 * thread, may be below no token of the loop. The end of the loop requests the tokens of such fibers
 * one by one (fl__loop_drain()); from then on the loop starts no fiber of a group.
 */
#include "../exec/group.h"
#include "loop.h"
#include <errno.h>
#include <fairlead/error.h>

int fl_group_start_with(fl_group *g, fl_fiber_function *function, void *arg, const fl_fiber_config *config)
{
	struct fl_fiber *f;
	fl_loop *l = fl_loop_current();
	if (!l)
		return fl__loop_needed("fl_group_start", FL__A_LOOP);
	const size_t number = fl__group_enter_fiber(g, l->sched, fl_fiber_current() ? NULL : &l->root);
	int rc = -ECANCELED;
	if (!fl_cancel_token_is_requested(&g->token_) && !fl_cancel_token_is_requested(&l->root))
		rc = fl__fiber_start(l, &f, function, arg, config ? config->name : NULL, &g->token_);
	if (rc != 0)
		return fl__group_refuse_fiber(g, rc);
	f->group = g;
	f->number = number;
	fl_fiber_detach(f);
	return 0;
}

void fl__fiber_note_in_group(const struct fl_fiber *f, int rc)
{
	fl__group_note(f->group, !fl__fiber_is_failure(f, rc),
	               &(struct fl__group_failure){rc, f->number, NULL, fl_fiber_name(f), fl_error_text(rc)});
}
