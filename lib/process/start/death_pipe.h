/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>

/*
 * A death pipe ends a child when this process ends, even by SIGKILL
 * (docs/decisions/daemon-death-pipe.md). Only this process keeps both ends open.
 */
struct fl__death_pipe {
	int ends[2];
	bool open; /* false in zeroed memory, which was never opened */
	struct fl__death_pipe *next, **link;
};

/*
 * Opens a death pipe, close-on-exec. Returns 0, -EMFILE or -ENFILE. The struct must stay in
 * place until the close.
 */
int fl__death_pipe_open(struct fl__death_pipe *d);

/* Closes the pipe, which kills a child that still runs. */
void fl__death_pipe_close(struct fl__death_pipe *d);

/*
 * From now on, a child that this thread forks keeps only the death pipe `d` open, for
 * fl__new_process_setup(), or none if `d` is NULL.
 */
void fl__death_pipe_keep(const struct fl__death_pipe *d);
