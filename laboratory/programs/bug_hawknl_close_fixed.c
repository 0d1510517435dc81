/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. bug_hawknl_close.c without its bug: both take the lock of the list first. */
#define FIXED
#include "bug_hawknl_close.c" /* NOLINT(bugprone-suspicious-include) */
