/* SPDX-License-Identifier: BSD-2-Clause */
/* What the blocks of docs/from-libuv.md need around them: the blocks marked "after". */
#include <fairlead.h>
#include <stdio.h>

#include "from_libuv_after.h"

static int all(void *unused)
{
	int left = 2, rc = ticks(&left);
	fl_stream *ends[2];
	if (rc == 0)
		rc = fl_stream_pair(ends);
	if (rc == 0) {
		rc = fl_stream_write(ends[1], "hello\n", 6);
		fl_stream_free(ends[1]);
		int read = print_lines(ends[0]);
		rc = rc != 0 ? rc : read;
	}
	return rc != 0 ? rc : ask(unused);
}

int main(void)
{
	int rc = fl_loop_run(all, NULL);
	return rc == 0 ? 0 : fl_perror(rc, "libuv_after");
}
