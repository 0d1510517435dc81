/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of open death pipes, which `death_pipe_lock` guards. While the list changes, no child is
 * forked, so that a child finds each inherited pipe.
 */
#include "death_pipe.h"
#include "../base/process_sys.h"
#include "core/base/anew.h"
#include "core/base/list.h"
#include "core/base/sys.h"
#include "core/sync/helper.h"
#include "core/sync/mutex.h"
#include "core/wait/context.h"

static fl_mutex death_pipe_lock = FL_MUTEX_INIT;
static struct fl__death_pipe *death_pipe_first;

static void death_pipe_close_locked(struct fl__death_pipe *d)
{
	FL__UNCOPIED();
	FL__LIST_REMOVE(d);
	d->open = false;
	fl__fds_close(d->ends, 2);
}

/* Closes all death pipes, which kills the daemons, and a fork server that was executed. */
static unsigned death_pipe_end(void)
{
	FL__HELD(&death_pipe_lock);
	while (death_pipe_first)
		death_pipe_close_locked(death_pipe_first);
	return 0;
}

int fl__death_pipe_open(struct fl__death_pipe *d)
{
	static struct fl__helper helper = {.end = death_pipe_end};
	fl__helper_list(&helper);
	FL__HELD(&death_pipe_lock);
	FL__UNCOPIED();
	int rc = fl__process_sys.pipe(d->ends);
	if (rc != 0)
		return rc;
	FL__LIST_ADD(&death_pipe_first, d);
	d->open = true;
	return 0;
}

void fl__death_pipe_close(struct fl__death_pipe *d)
{
	FL__HELD(&death_pipe_lock);
	if (d->open)
		death_pipe_close_locked(d);
}

void fl__death_pipe_keep(const struct fl__death_pipe *d)
{
	fl__thread_data()->death_pipe = d;
}

/* Closes all inherited pipes except one, which fl__new_process_setup() closes later. */
static void death_pipe_make_anew(void)
{
	fl_mutex_init(&death_pipe_lock);
	FL__EACH (struct fl__death_pipe, d, death_pipe_first) {
		d->open = false;
		if (d != fl__thread_data()->death_pipe)
			fl__fds_close(d->ends, 2);
	}
	death_pipe_first = NULL;
}

FL__MAKES_ANEW(death_pipe_make_anew)
