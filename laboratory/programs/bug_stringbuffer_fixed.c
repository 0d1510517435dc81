/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. bug_stringbuffer.c without its bug: the lock is held for both. */
#define FIXED
#include "bug_stringbuffer.c" /* NOLINT(bugprone-suspicious-include) */
