/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_FD_EVENTS_H
#define FAIRLEAD_FD_EVENTS_H

/*
 * What a descriptor is ready for.
 *
 *     int rc = fl_fd_wait(fd, FL_FD_IN | FL_FD_OUT);
 *
 * fl_fd_wait() (fairlead/fd.h) and fl_loop_watch_start() (fairlead/loop.h) take FL_FD_IN, FL_FD_OUT
 * or both. The callback of a watch gets those of them that have come, and FL_FD_ERR if it has come.
 */
enum {
	FL_FD_IN = 1 << 0,  /* bytes to read, a connection to accept, the end, or an error */
	FL_FD_OUT = 1 << 1, /* space to write, a connect has completed, or an error */
	FL_FD_ERR = 1 << 2, /* an error or a hang-up; a watch reports it in any case */
};

#endif
