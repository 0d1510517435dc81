/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. bug_memcached_127.c without its bug: the lock is held from the fetch to the
 * store.
 */
#define FIXED
#include "bug_memcached_127.c" /* NOLINT(bugprone-suspicious-include) */
