/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. bug_pbzip2_queue.c without its bug: main joins the consumer first. */
#define FIXED
#include "bug_pbzip2_queue.c" /* NOLINT(bugprone-suspicious-include) */
