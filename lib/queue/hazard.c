/* SPDX-License-Identifier: BSD-2-Clause */
/* Hazard pointers: each thread's, from its first use to its end. hazard_ck.c has the protocol. */
#include "hazard.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../base/unload.h"
#include "../wait/lock.h"
#include <pthread.h>
#include <stdint.h>

static struct fl__hazards none; /* keeps nothing, and is never written */
_Thread_local struct fl__hazards *fl__hazards_mine = &none;

static pthread_key_t key; /* its destructor ends a thread's */
static bool has_key;
static uint32_t lend; /* a lock: of the one that is lent */

static void end(void *hazards)
{
	fl__hazards_mine = &none;
	fl__hazards_give(hazards);
}

void fl__hazards_end(void)
{
	if (fl__hazards_mine == &none)
		return;
	(void)pthread_setspecific(key, NULL); /* it takes no memory to forget */
	end(fl__hazards_mine);
}

static bool has_own(void)
{
	if (fl__hazards_mine != &none)
		return true;
	struct fl__hazards *hazards = has_key ? fl__hazards_take() : NULL;
	if (hazards && pthread_setspecific(key, hazards) != 0) {
		fl__hazards_give(hazards);
		hazards = NULL;
	}
	if (!hazards)
		return false;
	fl__hazards_mine = hazards;
	return true;
}

bool fl__hazard_keep(enum fl__hazard place, void *object)
{
	if (!has_own())
		return false;
	fl__hazards_set(fl__hazards_mine, place, object);
	return true;
}

bool fl__hazards_borrow(void)
{
	if (has_own())
		return false;
	fl__lock(&lend);
	fl__hazards_mine = fl__hazards_lent();
	return true;
}

void fl__hazards_return(void)
{
	for (unsigned i = 0; i < FL__HAZARDS; i++)
		fl__hazards_set(fl__hazards_mine, i, NULL);
	fl__hazards_mine = &none;
	fl__unlock(&lend);
}

void fl__hazards_each(void (*found)(void *arg, const void *kept), void *arg)
{
	fl__fence_seq_cst(); /* pairs with the fence of fl__hazards_set(): see hazard_ck.c */
	fl__hazards_visit(found, arg);
	fl__fence_acquire(); /* pairs with the release of fl__hazards_set(): what is not kept any more is not used any more */
}

static void after_fork_in_child(void)
{
	fl__store_relaxed(&lend, 0); /* relaxed: the child has one thread, which is not inside */
	fl__hazards_forget_others(fl__hazards_mine);
}

/* Before anybody can need it, and in a process that never does: a key costs nothing until it is set. */
FL__AT_START static void make_key(void)
{
	has_key = pthread_key_create(&key, end) == 0;
	(void)pthread_atfork(NULL, NULL, after_fork_in_child); /* see lib/wait/context.c */
}

/*
 * A copy of the library that is unloaded leaves neither its destructor behind, nor the records of
 * threads that go on.
 */
FL__AT_UNLOAD static void forget_threads(void)
{
	if (has_key)
		(void)pthread_key_delete(key);
	has_key = false;
	if (!fl__is_unloaded())
		return;
	fl__hazards_mine = &none;
	fl__hazards_free();
}
