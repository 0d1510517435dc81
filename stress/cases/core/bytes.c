/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of bytes. The last of the handles frees the memory, after all uses. The model finds a
 * use after the free.
 */
#include "pools.h"
#include <fairlead/bytes.h>

static fl_bytes seven(void)
{
	fl_bytes b = {0};
	OK(fl_bytes_append(&b, "\7", 1));
	return b;
}

static int read_and_free(fl_bytes b)
{
	const int value = *(const unsigned char *)b.data;
	fl_bytes_free(&b);
	return value;
}

FL_TASK_STATIC(pass, fl_bytes, fl_bytes)
{
	FL_STRESS_CHECK(*(const char *)arg->data == 7);
	return fl_bytes_ref(result, arg);
}

static void begin(struct served *t)
{
	t->p = pool_of_actors(1, 1);
}

static void submit_and_free(struct served *t)
{
	fl_bytes b = seven();
	fl_future *f = NULL;
	OK(pass_submit(&t->p->base, b, &f));
	fl_bytes_free(&b);
	OK(pass_get(f, &b));
	fl_future_free(f);
	FL_STRESS_CHECK(read_and_free(b) == 7);
	fl_executor_close(&t->p->base);
}

/* bytes_submit: the caller frees its handle at once, and the future before the result. */
POOL(bytes_submit, begin, serve_first, submit_and_free)

static void iterate_and_free(struct served *t)
{
	fl_imap *it = NULL;
	fl_bytes args[] = {seven(), seven()}, got;
	OK(fl_imap_create(&it, &t->p->base, &pass, args, 2, &(fl_imap_config){.window = 2}));
	OK(fl_imap_next(it, NULL, &got));
	fl_imap_free(it);
	fl_bytes_free(&args[0]);
	fl_bytes_free(&args[1]);
	FL_STRESS_CHECK(read_and_free(got) == 7);
	fl_executor_close(&t->p->base);
}

/* bytes_imap: the iteration is freed, and then the handles of the array, while a task may run. */
POOL(bytes_imap, begin, serve_first, iterate_and_free)

/* bytes_then: the chained task uses the handle of the first future, and this future frees it. */
struct bytes_then {
	fl_executor *e;
	fl_promise *p;
	fl_future *f;
	int value;
};

FL_STRESS_SETUP(bytes_then)
{
	s->e = sequential();
	OK(fl_promise_create(&s->p, sizeof(fl_bytes), FL_BYTES_DROP, &s->f));
}

FL_STRESS_ACTOR(bytes_then, producer)
{
	const fl_bytes b = seven();
	OK(fl_promise_set(s->p, &b));
	fl_promise_free(s->p);
}

FL_STRESS_ACTOR(bytes_then, consumer)
{
	fl_future *next = NULL;
	fl_bytes got;
	OK(fl_future_then(s->f, s->e, &pass, &next));
	fl_future_free(s->f);
	OK(pass_get(next, &got));
	fl_future_free(next);
	s->value = read_and_free(got);
}

FL_STRESS(bytes_then, producer, consumer)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->value == 7, "passed on");
}

/*
 * bytes_last: memory with one handle left is written in place, but only after all uses through the
 * other handle.
 */
struct bytes_last {
	fl_bytes handle[2];
	int read;
	bool copied;
};

FL_STRESS_SETUP(bytes_last)
{
	s->handle[0] = seven();
	OK(fl_bytes_ref(&s->handle[1], &s->handle[0]));
}

FL_STRESS_ACTOR(bytes_last, reader)
{
	s->read = read_and_free(s->handle[0]);
}

FL_STRESS_ACTOR(bytes_last, writer)
{
	fl_bytes *b = &s->handle[1];
	const void *before = b->data;
	OK(fl_bytes_resize(b, 1));
	s->copied = b->data != before;
	++*(char *)b->data;
	FL_STRESS_CHECK(read_and_free(*b) == 8);
}

FL_STRESS(bytes_last, reader, writer)
{
	FL_FORBIDDEN(s->read != 7, "written while it was shared");
	FL_ACCEPTABLE(s->copied, "copied");
	FL_ACCEPTABLE(!s->copied, "in place");
}
