/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * glib_loop: the main loop of a GTK program, without its window. Tasks run on an executor, and
 * their results arrive in the main loop, which does not wait for them.
 *
 *   glib_loop [LIMIT]      counts the primes below LIMIT (10,000,000). Ctrl-C cancels.
 *
 * Each dot is a call of the main loop's timer.
 */
#include <errno.h>
#include <fairlead.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PARTS 8

struct range {
	uint64_t from, to;
};

FL_TASK(count_primes, struct range, uint64_t)
{
	for (uint64_t n = arg->from; n < arg->to && !fl_task_is_cancelled(ctx); n++) {
		bool prime = n > 1;
		for (uint64_t d = 2; prime && d * d <= n; d++)
			prime = n % d != 0;
		*result += prime;
	}
	return fl_task_is_cancelled(ctx) ? -ECANCELED : 0;
}

/* The "window": used by the thread of the main loop alone. */
static GMainLoop *loop;
static fl_executor *pool;
static unsigned pending, failed;
static uint64_t primes;

static gboolean show(void *future)
{
	FL_SCOPED(fl_future) *f = future;
	uint64_t n = 0;
	failed += count_primes_try_get(f, &n) != 0;
	primes += n;
	printf("\n%s: %" PRIu64 " primes\n", fl_error_text(fl_future_error(f)), primes);
	if (--pending == 0)
		g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

/*
 * Called on the thread that ends the task. An idle source always runs in the main loop. Not so the
 * function of g_main_context_invoke(): while the main loop does not run, this thread calls it.
 */
static void deliver(fl_future *f, void *unused)
{
	(void)unused;
	g_idle_add_full(G_PRIORITY_DEFAULT, show, fl_future_ref(f), NULL);
}

static gboolean tick(void *unused)
{
	(void)unused;
	return putchar('.') != EOF && fflush(stdout) == 0;
}

static gboolean cancel(void *unused)
{
	(void)unused;
	(void)fl_executor_cancel(pool); /* does not wait: the ends arrive as results do */
	return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
	const uint64_t part = (argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000) / PARTS;
	int rc = fl_thread_executor_create(&pool, NULL);
	loop = g_main_loop_new(NULL, FALSE);
	g_timeout_add(20, tick, NULL);
	g_unix_signal_add(SIGINT, cancel, NULL);
	for (uint64_t i = 0; rc == 0 && i < PARTS; i++) {
		rc = count_primes_submit_with(pool, (struct range){part * i, part * (i + 1)}, NULL,
		                              &(fl_submit_config){.on_end = deliver});
		pending += rc == 0;
	}
	if (pending > 0)
		g_main_loop_run(loop);
	fl_executor_free(pool);
	g_main_loop_unref(loop);
	return rc != 0 ? fl_perror(rc, "glib_loop") : failed > 0;
}
