/* SPDX-License-Identifier: BSD-2-Clause */
/* A duration in place of a deadline: FL_S(5), where fl_after(FL_S(5)) was meant. */
#include "../hooks.h"
#include "panic.h"
#include "sys.h"
#include <fairlead/time.h>

int64_t fl__earliest_deadline;

FL__AT_START static void duration_note_start(void)
{
	fl__earliest_deadline = fl__sys.now() / 2;
}

uint32_t fl__duration_told;

void fl__duration_report(int64_t deadline)
{
	FL__KEEPS_ERRNO();
	/* the clock may be that of a test or of the laboratory; only one caller gets 0 */
	if (deadline >= fl__sys.now() / 2 || fl__swap_relaxed(&fl__duration_told, 1) != 0)
		return;
	fl__log(FL_LOG_WARNING, "a deadline of %.9g s is long past; fl_after() makes one of a duration",
	        (double)deadline / (double)FL_S(1));
	if (fl__hooks_on(FL__HOOKS_DEBUG))
		fl__hook_deadline_on();
}
