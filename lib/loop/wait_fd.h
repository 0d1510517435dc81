/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_WAIT_FD_H
#define FL_LOOP_WAIT_FD_H

#include "../fiber/fiber.h"

/*
 * For struct fl__sched_ops: waits, with the loop's own poller, for a descriptor that the loop does
 * not watch otherwise.
 */
int fl__loop_wait_fd(struct fl__sched *s, int fd, short events, int64_t deadline, fl_cancel_token *cancel);

#endif
