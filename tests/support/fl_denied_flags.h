/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What is different in a program that tests/denied has started. */
#include <signal.h>
#include <stdlib.h>

/* In the environment of a program that `denied --record` runs. */
#define FL_DENIED_LISTENER "FL_DENIED_LISTENER"

/*
 * The flags of a signal handler that should not restart calls. However, until the listener has
 * heard of a call, a signal ends the call with EINTR, which these calls never return otherwise. So
 * under `denied --record` the handler restarts them.
 */
static inline int fl_denied_sa_flags(void)
{
	return getenv(FL_DENIED_LISTENER) ? SA_RESTART : 0;
}
