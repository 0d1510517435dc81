/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program of the soak: reads the arguments, starts and ends the actors, watches their progress,
 * and prints the report.
 */
#include "core/wait/lot.h"
#include "soak.h"

enum { MOST = 1000, STUCK_S = 60 };

static const char usage[] =
    "usage: ./dev stress --soak [--time SECONDS] [--threads N] [--loops N] [--fibers N] [--seed N]\n\n"
    "Threads, and fibers on event loops, race wakes, timeouts and cancels for the same semaphores, queues, events and\n"
    "conditions, with an account of every permit, item and ticket. Exit status: 0; 1: the account is wrong, or\n"
    "nothing has moved for a minute; 2: bad usage.\n"
    "  --time     how long; 60\n"
    "  --threads  that act by themselves; 4\n"
    "  --loops    event loops, a thread each; 2\n"
    "  --fibers   on each loop; 64\n";

static const struct argument arguments[] = {
    {"time", &soak.time, 1, 1000000},  {"threads", &soak.threads, 0, MOST}, {"loops", &soak.loops, 0, MOST},
    {"fibers", &soak.fibers, 1, MOST}, {"seed", &soak.seed, 0, UINT64_MAX}, {NULL, NULL, 0, 0},
};

static int run_thread(void *unused)
{
	enum { BATCH = 32 };
	struct actor a;
	(void)unused;
	actor_begin(&a);
	while (!fl__load_relaxed(&soak.stop)) { /* relaxed: the thread is joined */
		for (int i = 0; i < BATCH; i++)
			(void)act(&a);
		progress(BATCH);
	}
	actor_end(&a);
	return 0;
}

static void tell_waiter(const void *key, const void *wait, const uint32_t *futex, const char *name, void *unused)
{
	(void)wait, (void)futex, (void)unused;
	fprintf(stderr, "soak: %s waits at %p\n", name, key);
}

/* Watches the progress until the time is over. */
static void look_on(void)
{
	const fl_time end = fl_after(FL_S((int64_t)soak.time));
	uint64_t before = 0;
	for (int still = 0; !fl_time_is_past(end);) {
		/* Nobody cancels this sleep. */
		const fl_time next = fl_after(FL_S(1));
		FL_IGNORE(fl_sleep_until(fl_time_diff(next, end) < 0 ? next : end, NULL));
		const uint64_t now = progress_made();
		still = now == before ? still + 1 : 0;
		before = now;
		if (still == STUCK_S) {
			fl__lot_visit(tell_waiter, NULL);
			fail("nothing has moved for %d seconds", STUCK_S);
		}
	}
}

static void send_home(void)
{
	fl__store_relaxed(&soak.stop, true); /* relaxed: the threads that read it are joined */
	for (int i = 0; i < QUEUES; i++)
		fl_queue_close(soak.queues[i]);
	for (int i = 0; i < EVENTS; i++)
		fl_event_set(&soak.events[i]);
}

static void report(const struct tally *t, double seconds)
{
	const uint64_t all = t->done + t->timed_out + t->cancelled;
	printf("%lu operations in %.0f s: %lu done, %lu timed out, %lu cancelled; %lu fibers came and went\n", all,
	       seconds, t->done, t->timed_out, t->cancelled, fibers_ended());
	printf("%lu items were put, and got once each; permits and tickets are all there\n", t->put_count);
}

int main(int argc, char **argv)
{
	soak.threads = 4;
	soak.loops = 2;
	soak.fibers = 64;
	soak.time = 60;
	read_arguments(argc, argv, usage, arguments);
	static fl_thread *threads[2 * MOST];
	const unsigned n = (unsigned)(soak.threads + soak.loops);
	const fl_time begin = fl_now();
	things_open();
	loops_open();
	for (unsigned i = 0; i < n; i++) {
		fl_thread_function *function = i < soak.loops ? run_loop : run_thread;
		if (fl_thread_start(&threads[i], function, (void *)(uintptr_t)i, NULL) != 0)
			fail("no thread");
	}
	look_on();
	send_home();
	for (unsigned i = 0; i < n; i++) {
		int result = 0;
		if (fl_thread_join_until(threads[i], &result, fl_after(FL_S(STUCK_S)), NULL) != 0) {
			fl__lot_visit(tell_waiter, NULL);
			fail("an actor has made no progress for %d seconds", STUCK_S);
		}
		if (result != 0)
			fail("a loop ended with %s", fl_error_name(result));
	}
	const struct tally total = things_close();
	loops_close();
	report(&total, (double)fl_time_diff(fl_now(), begin) / 1e9);
	return 0;
}
