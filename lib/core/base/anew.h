/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the library does when the process forks. A forked child uses no object of its parent, so
 * nothing repairs such objects (fairlead/defs.h). But the child may use the library with new
 * objects. So each file with process-wide state registers a function that initializes this state
 * again in the child. One handler of pthread_atfork() calls all these functions (anew.c).
 */
#include "sys.h"

/*
 * The number of forks between the first process and this one. An executor stores it, so that it can
 * refuse calls in a forked child. It changes only in a child, which has one thread then, so no
 * access races.
 */
extern uint32_t fl__fork_count FL__HIDDEN;

/*
 * Returns whether the process has forked since the fork count was `count`, so the caller is a
 * child.
 */
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
 * Registers `in_child` in a constructor. The child has one thread, but any other thread of the
 * parent may have held any lock at the fork. Therefore `in_child` takes no lock, does not allocate
 * or free, and follows a pointer only if a single store published what it points to.
 */
#define FL__MAKES_ANEW(in_child) FL__MAKES_ANEW_WHEN(FL__AT_START, in_child)
#define FL__MAKES_ANEW_WHEN(when, in_child)                                                                            \
	when static void in_child##_registered(void)                                                                   \
	{                                                                                                              \
		static struct fl__anew part = {in_child, NULL};                                                        \
		fl__anew_register(&part);                                                                              \
	}

/*
 * A declaration. Until the end of the block no other thread forks. Use it for steps between which a
 * child could not make the state anew, such as opening a descriptor that the child must close. The
 * caller must not take a lock of the library in such a block.
 */
#define FL__UNCOPIED()                                                                                                 \
	__attribute__((cleanup(fl__uncopied_end), unused)) const bool FL__UNIQUE(fl__uncopied_) = fl__uncopied_begin()
bool fl__uncopied_begin(void);
void fl__uncopied_end(const bool *held);
