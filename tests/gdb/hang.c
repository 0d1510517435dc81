/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that hang, for gdb_cases.py: `hang CASE`. Each prints "hangs" when all its contexts are
 * about to wait, but for what a context cannot say itself. Built as users build, without -g.
 */
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST(call)                                                                                                     \
	do {                                                                                                           \
		int must_ = (call);                                                                                    \
		if (must_ != 0)                                                                                        \
			exit(fl_perror(must_, #call));                                                                 \
	} while (0)

enum { TASKS = 100, FIBERS = 10000 };

static fl_mutex alice = FL_MUTEX_INIT, bob = FL_MUTEX_INIT;
static fl_rmutex ledger = FL_RMUTEX_INIT;
static fl_cond ready = FL_COND_INIT;
static fl_event never = FL_EVENT_INIT;
static fl_barrier both = FL_BARRIER_INIT(2);
static fl_shm_mutex shared = FL_SHM_MUTEX_INIT;
static fl_thread *threads[2];
static fl_queue *orders;
static fl_executor *pool;
static fl_future *last;

static void start(int i, const char *name, fl_thread_function *function)
{
	MUST(fl_thread_start(&threads[i], function, NULL, &(fl_thread_config){.name = name}));
}

static void say(void)
{
	puts("hangs");
	(void)fflush(stdout);
}

static int join(void)
{
	say();
	for (int i = 0; i < 2; i++)
		MUST(fl_thread_join(threads[i], NULL));
	return 0;
}

static int pay(fl_mutex *from, fl_mutex *to)
{
	FL_LOCKED(from);
	(void)!fl_barrier_wait(&both);
	FL_LOCKED(to);
	return 0;
}

static int alice_pays(void *arg)
{
	(void)arg;
	return pay(&alice, &bob);
}

static int bob_pays(void *arg)
{
	(void)arg;
	return pay(&bob, &alice);
}

static int lock_order(void)
{
	start(0, "alice pays", alice_pays);
	start(1, "bob pays", bob_pays);
	return join();
}

static int keeps_ledger(void *arg)
{
	(void)arg;
	fl_rmutex_lock(&ledger);
	(void)!fl_barrier_wait(&both);
	return fl_event_wait(&never);
}

static int wants_ledger(void *arg)
{
	(void)arg;
	(void)!fl_barrier_wait(&both);
	fl_rmutex_lock(&ledger);
	return 0;
}

static int recursive(void)
{
	start(0, "keeper", keeps_ledger);
	start(1, "clerk", wants_ledger);
	return join();
}

/* The signal comes before the wait, which checks no predicate. */
static int lost_wakeup(void)
{
	FL_LOCKED(&alice);
	fl_cond_signal(&ready);
	say();
	return fl_cond_wait(&ready, &alice);
}

FL_TASK(set_type, void, void)
{
	return fl_event_wait(&never);
}

static int starved_pool(void)
{
	MUST(fl_thread_executor_create(&pool, &(fl_executor_config){.workers = 2, .name = "press"}));
	for (int i = 0; i < TASKS; i++) {
		fl_future_free(last);
		MUST(set_type_submit(pool, &last));
	}
	say();
	return set_type_get(last);
}

static int counts(void *arg)
{
	volatile bool goes_on = true;
	(void)arg;
	say();
	while (goes_on)
		;
	return 0;
}

static int one_busy_fiber(void *arg)
{
	fl_fiber *f;
	MUST(fl_fiber_start(&f, counts, arg, &(fl_fiber_config){.name = "counts"}));
	return fl_fiber_join(f, NULL);
}

static int busy_fiber(void)
{
	return fl_loop_run(one_busy_fiber, NULL);
}

static int full_queue(void)
{
	const int order = 7;
	MUST(fl_queue_create(&orders, sizeof order, &(fl_queue_config){.capacity = 4}));
	say();
	for (;;)
		MUST(fl_queue_put(orders, &order));
}

static fl_fiber *left, *right;

static int joins_right(void *arg)
{
	(void)arg;
	return fl_fiber_join(right, NULL);
}

static int joins_left(void *arg)
{
	(void)arg;
	say();
	return fl_fiber_join(left, NULL);
}

static int two_fibers(void *arg)
{
	(void)arg;
	MUST(fl_fiber_start(&left, joins_right, NULL, &(fl_fiber_config){.name = "left"}));
	MUST(fl_fiber_start(&right, joins_left, NULL, &(fl_fiber_config){.name = "right"}));
	return fl_sleep_until(FL_FOREVER, NULL);
}

static int join_cycle(void)
{
	return fl_loop_run(two_fibers, NULL);
}

static int sleeper(void *arg)
{
	(void)arg;
	return fl_event_wait(&never);
}

static int many_fibers(void *arg)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(NULL);
	(void)arg;
	for (int i = 0; i < FIBERS; i++)
		MUST(fl_group_start_with(&g, sleeper, NULL, &(fl_fiber_config){.name = "sleeper"}));
	MUST(fl_sleep_until(fl_after(0), NULL)); /* the others run first */
	say();
	return fl_group_join(&g);
}

static int lost_fiber(void)
{
	return fl_loop_run(many_fibers, NULL);
}

/*
 * As if the owner had died, and its number were that of another process by now: the death of others
 * is seen by a waiter.
 */
static int dead_owner(void)
{
	const uint32_t tid = (uint32_t)getppid();
	memcpy(&shared, &tid, sizeof tid);
	say();
	return fl_shm_mutex_lock(&shared);
}

static int child_waits(void)
{
	const char *const argv[] = {"sleep", "1000", NULL};
	fl_process *p;
	fl_process_status status;
	MUST(fl_process_start(&p, &(fl_process_config){.program = "sleep", .argv = argv, .daemon = true}));
	say();
	return fl_process_join(p, &status);
}

static void set_never(void *arg)
{
	fl_event_set(arg);
}

static int late_timer(void)
{
	FL_SCOPED(fl_timer) t = FL_TIMER_INIT;
	MUST(fl_timer_start(&t, fl_after(FL_S(1000000)), set_never, &never));
	say();
	return fl_event_wait(&never);
}

static void stays(void *arg)
{
	(void)arg;
	for (;;)
		(void)pause();
}

/* The thread `timers` is in the function of another timer. */
static int overdue_timer(void)
{
	FL_SCOPED(fl_timer) first = FL_TIMER_INIT;
	FL_SCOPED(fl_timer) second = FL_TIMER_INIT;
	MUST(fl_timer_start(&first, fl_now(), stays, NULL));
	MUST(fl_timer_start(&second, fl_now(), set_never, &never));
	say();
	return fl_event_wait(&never);
}

static int waits_for_never(void *arg)
{
	return fl_event_wait(arg);
}

static int join_thread(void)
{
	fl_thread *t;
	MUST(fl_thread_start(&t, waits_for_never, &never, &(fl_thread_config){.name = "clerk"}));
	say();
	return fl_thread_join(t, NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*hang)(void);
	} cases[] = {{"lock_order", lock_order},     {"recursive", recursive},   {"lost_wakeup", lost_wakeup},
	             {"starved_pool", starved_pool}, {"full_queue", full_queue}, {"join_cycle", join_cycle},
	             {"lost_fiber", lost_fiber},     {"dead_owner", dead_owner}, {"child_waits", child_waits},
	             {"late_timer", late_timer},     {"busy_fiber", busy_fiber}, {"overdue_timer", overdue_timer},
	             {"join_thread", join_thread}};
	for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof cases[0]; i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			return cases[i].hang();
	return 2;
}
