/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/error.h>
#include <fairlead/thread.h>
#include <sys/select.h>

/*
 * As fl_thread_start(), for threads of the library. The thread blocks `signals`, which live until it runs `function`; NULL: as
 * `config` says. A thread that runs the user's code has the signals of its executor.
 */
FL_MUST_CHECK int fl__thread_start(fl_thread *t, fl_thread_function *function, void *arg,
                                   const fl_thread_config *config, const sigset_t *signals);
