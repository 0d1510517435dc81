/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Says in words what a context waits for. This is a file of its own, so that a program whose log
 * lines need only these words does not link the debugging.
 */
#include "awaited.h"
#include <stdio.h>
#include <string.h>

/* The text for an object replaces '@', and the text for a number replaces '#'. */
static const char *const awaited_words[] = {
    [FL__DEBUG_NOTHING] = "something",
    [FL__DEBUG_MUTEX] = "mutex @",
    [FL__DEBUG_RWLOCK] = "reader-writer lock @",
    [FL__DEBUG_JOIN] = "the end of thread or fiber #",
    [FL__DEBUG_COND] = "condition @",
    [FL__DEBUG_SEM] = "semaphore @",
    [FL__DEBUG_GET] = "queue @ (to get)",
    [FL__DEBUG_PUT] = "queue @ (to put)",
    [FL__DEBUG_SELECT] = "queue @ or another (to select)",
    [FL__DEBUG_QUEUE_JOIN] = "queue @ (to join)",
    [FL__DEBUG_EVENT] = "event @",
    [FL__DEBUG_BARRIER] = "barrier @",
    [FL__DEBUG_LATCH] = "latch @",
    [FL__DEBUG_ONCE] = "once @",
    [FL__DEBUG_FUTURE] = "future @",
    [FL__DEBUG_FUTURES] = "some of # futures",
    [FL__DEBUG_FORK] = "forked call @",
    [FL__DEBUG_GROUP] = "group @",
    [FL__DEBUG_CANCEL_CALLBACK] = "the return of cancel callback @",
    [FL__DEBUG_ANY] = "one of several objects",
    [FL__DEBUG_SLEEP] = "the end of a sleep",
    [FL__DEBUG_TASK] = "a task of executor @",
    [FL__DEBUG_EXECUTOR] = "the end of executor @",
    [FL__DEBUG_BACKLOG] = "the full backlog of executor @",
    [FL__DEBUG_IMAP] = "a result of lazy map @",
    [FL__DEBUG_TIMER] = "the end of timer @",
    [FL__DEBUG_DUE] = "the next timer @",
    [FL__DEBUG_DESCRIPTOR] = "descriptor #",
    [FL__DEBUG_CONNECTION] = "a connection",
    [FL__DEBUG_PROCESS] = "the end of process #",
    [FL__DEBUG_START] = "the start of a process",
    [FL__DEBUG_PIPE] = "pipe @",
    [FL__DEBUG_ENDPOINT] = "endpoint @",
    [FL__DEBUG_SHM] = "object @ in shared memory",
    [FL__DEBUG_SHM_LOCK] = "lock @ in shared memory",
};

bool fl__awaited_is_number(uint8_t kind)
{
	return strchr(awaited_words[kind], '#') != NULL;
}

void fl__awaited_write(char *text, size_t size, uint8_t kind, const char *object)
{
	const char *const words = awaited_words[kind];
	const int before = (int)strcspn(words, "@#");
	if (words[before] == '\0' || object)
		(void)snprintf(text, size, "%.*s%s%s", before, words, words[before] ? object : "",
		               words + before + (words[before] != '\0'));
	else
		(void)snprintf(text, size, "%.*s%s", before - 1, words, words + before + 1);
}
