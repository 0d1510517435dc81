/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts of threads that the program starts: static TLS, for destructors of thread-local data. */
#include "context.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "lot.h"

__thread struct fl__ctx *fl__ctx_current;
static _Thread_local struct fl__ctx context_of_thread;

uint32_t fl__fork_count, fl__plain_forks;
bool fl__forks_empty_lot;

static uint64_t context_next_id(void)
{
	static uint64_t last;
	return fl__add_relaxed(&last, 1) + 1; /* only uniqueness matters */
}

void fl__ctx_init_thread(struct fl__ctx *ctx, const char *name)
{
	*ctx = (struct fl__ctx){.ops = &fl__thread_parker, .id = context_next_id(), .name = name};
}

struct fl__ctx *fl__ctx_adopt_thread(void)
{
	fl__ctx_init_thread(&context_of_thread, fl__is_main_thread() ? "main" : "foreign");
	context_of_thread.adopted = true;
	fl__ctx_current = &context_of_thread;
	return &context_of_thread;
}

static void context_after_fork_in_child(void)
{
	if (!fl__forks_empty_lot)
		fl__lot_forget();
	fl__forks_empty_lot = false;
	if (fl__plain_forks == fl__fork_count++)
		fl__plain_forks = fl__fork_count;
}

FL__AT_FORK(FL__AT_START, NULL, NULL, context_after_fork_in_child)
