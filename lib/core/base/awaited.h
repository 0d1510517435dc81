/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a context waits for: a kind, and an object or a number. */
enum fl__debug_kind {
	FL__DEBUG_NOTHING,
	FL__DEBUG_MUTEX,
	FL__DEBUG_RWLOCK,
	FL__DEBUG_JOIN, /* of a context, by its number */
	/* Objects without a holder. A wait for one may be part of another wait: FL__AWAITS(). */
	FL__DEBUG_COND,
	FL__DEBUG_SEM,
	FL__DEBUG_GET,
	FL__DEBUG_PUT,
	FL__DEBUG_SELECT,
	FL__DEBUG_QUEUE_JOIN,
	FL__DEBUG_EVENT,
	/* What the hooks of debug.h do not name, but the wait alone. */
	FL__DEBUG_BARRIER,
	FL__DEBUG_LATCH,
	FL__DEBUG_ONCE,
	FL__DEBUG_FUTURE,
	FL__DEBUG_FUTURES, /* a number of them */
	FL__DEBUG_FORK,
	FL__DEBUG_GROUP,
	FL__DEBUG_CANCEL_CALLBACK,
	FL__DEBUG_ANY,
	FL__DEBUG_SLEEP,
	FL__DEBUG_TASK, /* of an executor: by an idle worker */
	FL__DEBUG_EXECUTOR,
	FL__DEBUG_BACKLOG, /* of an executor */
	FL__DEBUG_IMAP,
	FL__DEBUG_TIMER,
	FL__DEBUG_DUE,        /* a static pointer to the function of the next timer */
	FL__DEBUG_DESCRIPTOR, /* a number */
	FL__DEBUG_CONNECTION,
	FL__DEBUG_PROCESS, /* by its number */
	FL__DEBUG_START,   /* of a process */
	FL__DEBUG_PIPE,
	FL__DEBUG_ENDPOINT,
	FL__DEBUG_SHM,
	FL__DEBUG_SHM_LOCK, /* its word, which has the owner's TID */
	FL__DEBUG_KINDS
};

struct fl__awaited {
	const void *object; /* or a number */
	uint8_t kind;
};

/* Whether the kind has a number in place of an object. */
bool fl__awaited_is_number(uint8_t kind);

/*
 * Writes the kind and `object`, the text for the object: "queue jobs at 0x1234 (to get)"; with NULL
 * "queue (to get)". Safe in a signal handler.
 */
void fl__awaited_write(char *text, size_t size, uint8_t kind, const char *object);
