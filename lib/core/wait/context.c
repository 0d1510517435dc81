/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The data of threads that the library did not start. A thread gets its data at its first call that
 * needs a context. When a thread ends, POSIX runs the destructors of pthread keys in up to four
 * rounds. The thread gives its data back in the third round, because destructors of the program may
 * call the library before. The fourth round is for a thread whose first call is in a destructor of
 * the first round.
 *
 * A thread's first call must not fail, and its caller may be the user's allocator. So the memory is
 * static for the first CONTEXT_CHUNK threads, and mapped for further ones. If the system has no
 * memory, the call waits until it has some, or until another thread has given its data back.
 *
 * Thread-local variables use the model initial-exec, because an access then takes only one
 * instruction more than an access to a global variable, and needs no memory that could be missing.
 * glibc provides 1,664 bytes for them in all libraries that dlopen() loads, and each plugin may
 * contain a copy of this library. Therefore only what a fast path reads is thread-local: 88 bytes
 * in the core, 112 in all parts, if a copy contains all of them. The other data of a thread, with
 * its context, are in its `struct fl__thread_data`. A thread of the library has this struct in its
 * control block. A list of robust locks must stay until the kernel has walked it at the thread's
 * end, when the thread's data may be gone. Therefore that list has its own record, which a thread
 * gives back only when it holds no lock (process/shm/shm_lock.c). docs/decisions/thread-locals.md
 * says why the model is not global-dynamic.
 */
#include "context.h"
#include "../base/anew.h"
#include "../base/unload.h"
#include "lock.h"
#include "lot.h"
#include <string.h>

__thread struct fl__ctx *fl__ctx_current FL__INITIAL_EXEC;

enum { CONTEXT_CHUNK = 6, CONTEXT_ROUNDS = 3 };

struct context_chunk {
	struct context_chunk *next;
	unsigned used; /* how many elements of `all` a thread uses or has used */
	struct fl__thread_data all[CONTEXT_CHUNK];
};

static struct context_chunk context_first;
/* Guards `context_free`, the key, and the chunks apart from their data. */
static uint32_t context_lock;
static struct fl__thread_data *context_free;
static struct context_chunk *context_chunks = &context_first; /* newest first */
static pthread_key_t context_key;
static bool context_has_key;

uint32_t fl__short_way;
bool fl__forks_empty_lot;

static uint64_t context_next_id(void)
{
	static uint64_t last;
	return fl__add_relaxed(&last, 1) + 1; /* relaxed: an id only needs to be unique */
}

void fl__ctx_init_thread(struct fl__ctx *ctx, const char *name)
{
	*ctx = (struct fl__ctx){.ops = &fl__thread_parker, .id = context_next_id(), .name = name};
}

FL__COLD static void context_end_thread(void *of_thread)
{
	struct fl__thread_data *data = of_thread;
	fl__ctx_current = &data->ctx; /* may have been cleared already: context_of_key() */
	if (data->end)
		data->end(&data->ctx, false);
	if (++data->rounds < CONTEXT_ROUNDS && pthread_setspecific(context_key, data) == 0)
		return;
	/*
	 * From the unlock on, another thread may use the data. By then this thread no longer uses
	 * them, since it has forgotten its context, and fl__unlock() uses none. Nor does a waking
	 * thread, because all waits of this thread have ended (lot.c, invariant 3).
	 */
	fl__ctx_current = NULL;
	data->end = NULL;
	FL__LOCKED(&context_lock);
	data->next_free = context_free;
	context_free = data;
}

/* Returns data for the calling thread, or NULL if another chunk is needed. */
FL__COLD static struct fl__thread_data *context_take(void)
{
	FL__LOCKED(&context_lock);
	struct fl__thread_data *data = context_free;
	if (data)
		context_free = data->next_free;
	else if (context_chunks->used < CONTEXT_CHUNK)
		data = &context_chunks->all[context_chunks->used++];
	if (!context_has_key)
		/* release: publishes the key; pairs with the acquire in fl__ctx_adopt_thread() */
		fl__store_release(&context_has_key, pthread_key_create(&context_key, context_end_thread) == 0);
	return data;
}

FL__COLD static void context_map_more(void)
{
	struct context_chunk *chunk = fl__sys.map(sizeof *chunk);
	if (!chunk) {
		fl__sys.nap();
		return;
	}
	FL__LOCKED(&context_lock);
	chunk->next = context_chunks;
	context_chunks = chunk;
}

/*
 * Returns the data that the calling thread already has, or NULL. With mingw-w64 the thread-local
 * variables end before the destructors of keys run, so fl__ctx_current is NULL in a destructor.
 */
FL__COLD static struct fl__thread_data *context_of_key(void)
{
	FL__LOCKED(&context_lock);
	return context_has_key ? pthread_getspecific(context_key) : NULL;
}

FL__COLD struct fl__ctx *fl__ctx_adopt_thread(void)
{
	struct fl__thread_data *data = context_of_key();
	if (data)
		return fl__ctx_current = &data->ctx;
	while (!(data = context_take()))
		context_map_more();
	memset(data, 0, sizeof *data);
	fl__ctx_init_thread(&data->ctx, fl__is_main_thread() ? "main" : "foreign");
	fl__ctx_current = &data->ctx;
	/* acquire: pairs with the release in context_take() */
	if (fl__load_acquire(&context_has_key))
		(void)pthread_setspecific(context_key, data); /* after an error, it is never given back */
	return fl__ctx_current;
}

struct fl__thread_data *fl__thread_data(void)
{
	return (struct fl__thread_data *)fl__ctx_thread();
}

/* Runs after the other destructors of this copy of the library, because they call the library. */
FL__COLD __attribute__((destructor(199))) static void context_unload(void)
{
	if (!fl__is_unloaded())
		return;
	if (context_has_key)
		(void)pthread_key_delete(context_key);
	while (context_chunks) {
		struct context_chunk *chunk = context_chunks;
		for (unsigned i = 0; i < chunk->used; i++)
			if (chunk->all[i].end)
				chunk->all[i].end(&chunk->all[i].ctx, true);
		context_chunks = chunk->next;
		if (chunk != &context_first)
			fl__sys.unmap(chunk, sizeof *chunk);
	}
}

/*
 * The child's thread is no longer a worker or a fiber, even if it was one in the parent. It
 * continues on its stack, but as a thread that runs no task, has no cancel scope and waits for
 * nothing. It keeps its id and its locals.
 */
static void context_begin_anew(void)
{
	if (!fl__ctx_current)
		return;
	struct fl__ctx *ctx = fl__ctx_thread();
	*ctx = (struct fl__ctx){.ops = ctx->ops, .id = ctx->id, .name = ctx->name, .locals = ctx->locals};
	fl__ctx_current = ctx;
}

static void context_make_anew(void)
{
	fl__store_relaxed(&context_lock, 0); /* relaxed: the child has one thread */
	if (!fl__forks_empty_lot)
		fl__lot_make_anew();
	fl__forks_empty_lot = false;
	if (fl__short_way == fl__fork_count - 1)
		fl__short_way = fl__fork_count;
	context_begin_anew();
}

/* Comes first, because other files use the thread's data when they make their own state anew. */
FL__MAKES_ANEW_WHEN(FL__AT_START_FIRST, context_make_anew)
