/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A broadcast wakes both waiters. */
#define FIXED
#include "cond_signal_for_broadcast.c" /* NOLINT(bugprone-suspicious-include) */
