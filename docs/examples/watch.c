/* SPDX-License-Identifier: BSD-2-Clause */
/* Waits for a group of tasks, with a moving progress display; Ctrl-C cancels the group. */
#include "demo.h"
#include <errno.h>

#define LOOK FL_MS(50) /* the time between two updates */

int watch_group(const char *story, fl_group *g, fl_signals *signals, void (*show)(void *arg), void *arg)
{
	bool interrupted = false;
	int rc;
	while ((rc = fl_group_join_until(g, fl_after(LOOK), FL_SHIELDED)) == -ETIMEDOUT) {
		if (fl_signals_try_wait(signals) > 0) {
			interrupted = true;
			fl_group_cancel(g); /* and wait on, until the running tasks have seen it */
		}
		show(arg);
	}
	if (rc == 0 && !interrupted)
		show(arg);
	progress_end();
	if (rc == FL_ETASK)
		complain("%s: %s", story, fl_group_message(g));
	else if (interrupted)
		complain("%s: interrupted", story);
	return interrupted ? -ECANCELED : rc == FL_ETASK ? fl_group_error(g) : rc;
}

void end_signals(fl_signals *signals)
{
	(void)fflush(stdout);
	while (signals != NULL && fl_signals_try_wait(signals) > 0)
		;
	fl_signals_free(signals);
}
