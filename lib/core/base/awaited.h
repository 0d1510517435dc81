/* SPDX-License-Identifier: BSD-2-Clause */
/* What contexts wait for, for debugging and log lines. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a context waits for: a kind, and an object or a number. */
enum fl__debug_kind {
	FL__DEBUG_NOTHING,
	FL__DEBUG_MUTEX,
	FL__DEBUG_RWLOCK,
	FL__DEBUG_JOIN, /* the end of a context; its number replaces the object */
	/*
	 * The following objects have no holder. A wait for one may be part of another wait (see
	 * FL__AWAITS()).
	 */
	FL__DEBUG_COND,
	FL__DEBUG_SEM,
	FL__DEBUG_GET,
	FL__DEBUG_PUT,
	FL__DEBUG_SELECT,
	FL__DEBUG_QUEUE_JOIN,
	FL__DEBUG_EVENT,
	/*
	 * The following kinds only describe waits: no function of hooks.h takes one as an argument.
	 */
	FL__DEBUG_BARRIER,
	FL__DEBUG_LATCH,
	FL__DEBUG_ONCE,
	FL__DEBUG_FUTURE,
	FL__DEBUG_FUTURES, /* several futures; their number replaces the object */
	FL__DEBUG_FORK,
	FL__DEBUG_GROUP,
	FL__DEBUG_CANCEL_CALLBACK,
	FL__DEBUG_ANY,
	FL__DEBUG_SLEEP,
	FL__DEBUG_TASK, /* an idle worker waits for a task; the object is its executor */
	FL__DEBUG_EXECUTOR,
	FL__DEBUG_BACKLOG, /* space in a full backlog; the object is the executor */
	FL__DEBUG_IMAP,
	FL__DEBUG_TIMER,
	FL__DEBUG_DUE,        /* the object is a static pointer to the function of the next timer */
	FL__DEBUG_DESCRIPTOR, /* its number replaces the object */
	FL__DEBUG_CONNECTION,
	FL__DEBUG_PROCESS, /* the end of a process; its number replaces the object */
	FL__DEBUG_START,   /* the start of a process */
	FL__DEBUG_PIPE,
	FL__DEBUG_ENDPOINT,
	FL__DEBUG_SHM,
	FL__DEBUG_SHM_LOCK, /* the object is the lock's word, which contains the owner's TID */
	FL__DEBUG_KINDS
};

struct fl__awaited {
	const void *object; /* or a number */
	uint8_t kind;
};

/* Returns whether waits of this kind have a number instead of an object. */
bool fl__awaited_is_number(uint8_t kind);

/*
 * Writes in words what is awaited, such as "queue jobs at 0x1234 (to get)". `object` is the text
 * for the object; if it is NULL, writes only "queue (to get)". Signal handlers may call this
 * function.
 */
void fl__awaited_write(char *text, size_t size, uint8_t kind, const char *object);
