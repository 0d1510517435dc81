/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hazard pointers. This file gives each thread a record, from the thread's first use until it ends.
 * The head of hazard_ck.c describes the protocol.
 */
#include "hazard.h"
#include "../base/anew.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../base/unload.h"
#include "../wait/lock.h"
#include <pthread.h>

static struct fl__hazards hazard_none; /* a record that protects nothing, and is never written */
_Thread_local struct fl__hazards *fl__hazards_mine FL__INITIAL_EXEC = &hazard_none;

static pthread_key_t hazard_key;
static bool hazard_has_key;
static uint32_t hazard_shared_lock; /* held by the thread that borrows the shared record */

static void hazard_end_thread(void *hazards)
{
	fl__hazards_mine = &hazard_none;
	fl__hazards_unregister(hazards);
}

void fl__hazards_end(void)
{
	if (fl__hazards_mine == &hazard_none)
		return;
	/* This cannot fail, because storing NULL needs no memory. */
	(void)pthread_setspecific(hazard_key, NULL);
	hazard_end_thread(fl__hazards_mine);
}

static bool hazard_has_own(void)
{
	if (fl__hazards_mine != &hazard_none)
		return true;
	struct fl__hazards *hazards = hazard_has_key ? fl__hazards_register() : NULL;
	if (hazards && pthread_setspecific(hazard_key, hazards) != 0) {
		fl__hazards_unregister(hazards);
		hazards = NULL;
	}
	if (!hazards)
		return false;
	fl__hazards_mine = hazards;
	return true;
}

bool fl__hazard_protect(enum fl__hazard place, void *object)
{
	if (!hazard_has_own())
		return false;
	fl__hazards_set(fl__hazards_mine, place, object);
	return true;
}

bool fl__hazards_borrow(void)
{
	if (hazard_has_own())
		return false;
	fl__lock(&hazard_shared_lock);
	fl__hazards_mine = fl__hazards_shared();
	return true;
}

void fl__hazards_clear(struct fl__hazards *hazards)
{
	for (unsigned i = 0; i < FL__HAZARDS; i++)
		fl__hazards_set(hazards, i, NULL);
}

void fl__hazards_return(const bool *borrowed)
{
	if (!*borrowed)
		return;
	fl__hazards_clear(fl__hazards_mine);
	fl__hazards_mine = &hazard_none;
	fl__unlock(&hazard_shared_lock);
}

size_t fl__hazards_each(void (*found)(void *arg, const void *object), void *arg)
{
	/* seq_cst: pairs with the fence in fl__hazards_set(); see the protocol in hazard_ck.c */
	fl__fence_seq_cst();
	const size_t read = fl__hazards_visit(found, arg);
	/*
	 * acquire: pairs with the release fence in fl__hazards_set(), so that all uses of an object
	 * that is no longer protected happen before it is freed.
	 */
	fl__fence_acquire();
	return read;
}

static void hazard_make_anew(void)
{
	fl__store_relaxed(&hazard_shared_lock, 0); /* relaxed: the child has one thread */
	fl__hazards_forget_others(fl__hazards_mine);
}

FL__MAKES_ANEW(hazard_make_anew)

/*
 * This runs before any use, except by constructors of the program that run even earlier. A key
 * costs nothing until a thread sets it.
 */
FL__AT_START static void hazard_make_key(void)
{
	hazard_has_key = pthread_key_create(&hazard_key, hazard_end_thread) == 0;
}

/*
 * When this copy of the library is unloaded, neither its destructor nor the records of live threads
 * may remain. At an exit the key stays, because other threads may still run and need a record for
 * their first put.
 */
FL__AT_UNLOAD static void hazard_forget_threads(void)
{
	if (!fl__is_unloaded())
		return;
	if (hazard_has_key)
		(void)pthread_key_delete(hazard_key);
	hazard_has_key = false;
	fl__hazards_mine = &hazard_none;
	fl__hazards_free();
}
