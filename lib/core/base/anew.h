/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the library does at a fork. A forked child uses no object of its parent, so nothing repairs
 * an object there (fairlead/defs.h). But the child may use the library anew. So each file with
 * state that the process has once registers a function, which makes that state anew in the child.
 * One handler of pthread_atfork() calls all these functions (anew.c).
 */
#include "sys.h"

/*
 * The number of forks between the first process and this one. An executor stores it, to refuse the
 * calls of a forked child. It changes only in a child, which then has one thread, so no access
 * races.
 */
extern uint32_t fl__fork_count FL__HIDDEN;

/* Returns whether the process has forked since it had this fork count: the caller is a child. */
static inline bool fl__is_forked(uint32_t count)
{
	return count != fl__fork_count;
}

struct fl__anew {
	void (*in_child)(void);
	struct fl__anew *next;
};
void fl__anew_register(struct fl__anew *part);

/*
 * Registers `in_child` in a constructor. The child has one thread, and any lock may have been held
 * by another thread of the parent at the fork. So `in_child` takes no lock, and neither allocates
 * nor frees. It follows a pointer only if one store has published what it points to.
 */
#define FL__MAKES_ANEW(in_child) FL__MAKES_ANEW_WHEN(FL__AT_START, in_child)
#define FL__MAKES_ANEW_WHEN(when, in_child)                                                                            \
	when static void in_child##_registered(void)                                                                   \
	{                                                                                                              \
		static struct fl__anew part = {in_child, NULL};                                                        \
		fl__anew_register(&part);                                                                              \
	}

/*
 * A declaration. Until the end of the block no other thread forks. It is for steps between which a
 * child could not make the state anew, such as the opening of a descriptor that the child is to
 * close. In such a block the caller takes no lock of the library.
 */
#define FL__UNCOPIED()                                                                                                 \
	__attribute__((cleanup(fl__uncopied_end), unused)) const bool FL__UNIQUE(fl__uncopied_) = fl__uncopied_begin()
bool fl__uncopied_begin(void);
void fl__uncopied_end(const bool *held);
