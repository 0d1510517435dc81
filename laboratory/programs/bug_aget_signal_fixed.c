/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. bug_aget_signal.c without its bug: main waits for the count in a loop. */
#define FIXED
#include "bug_aget_signal.c" /* NOLINT(bugprone-suspicious-include) */
