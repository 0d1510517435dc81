/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A forked child and the queues that other threads of its parent were using. A thread stops in the
 * middle of a call: it copies an item from, or to, memory that it may not touch, and its signal
 * handler waits. Then the process forks. In the child each function of the queue returns, whatever
 * the stopped call had locked or claimed.
 */
#include "fl_chain.h"
#include "fl_child.h"

enum { SIZE = 4096, CAPACITY = 4, BEFORE = 2, MANY = 3 };

/* Where the thread stops. */
enum { IN_PUT, IN_GET, IN_PUT_MANY, IN_GET_MANY, IN_DROP, PLACES };

struct item {
	int n;
	char rest[SIZE - sizeof(int)];
};

static struct item *untouchable; /* MANY items */
static uint32_t inside, go_on;

static void stop_here(void)
{
	fl__store_release(&inside, 1);
	while (!fl__load_acquire(&go_on))
		(void)sched_yield();
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	if ((char *)info->si_addr < (char *)untouchable || (char *)info->si_addr >= (char *)(untouchable + MANY))
		abort();
	stop_here();
	FL_OK(mprotect(untouchable, MANY * sizeof *untouchable, PROT_READ | PROT_WRITE));
}

static void on_drop(void *item, void *drop_arg)
{
	if (!fl__load_acquire(&inside))
		stop_here();
}

static int compare(const void *a, const void *b, void *compare_arg)
{
	return ((const struct item *)a)->n - ((const struct item *)b)->n;
}

/* Queues. */

/* The same end for all places of the stop. */
#define ALL_END(rc)                                                                                                    \
	{                                                                                                              \
		(rc), (rc), (rc), (rc), -EPIPE                                                                         \
	}

static const struct kind {
	const char *name;
	fl_queue_config config;
	/* How gets end that drain the queue, and puts that fill it, by the place of the stop. */
	int drained[PLACES], filled[PLACES];
} kinds[] = {
    {"fifo",
     {.capacity = CAPACITY},
     {-EOWNERDEAD, -ETIMEDOUT, -EOWNERDEAD, -ETIMEDOUT, -EPIPE},
     {-ETIMEDOUT, -EOWNERDEAD, -ETIMEDOUT, -EOWNERDEAD, -EPIPE}},
    {"pair",
     {.capacity = CAPACITY, .one_consumer = true, .one_producer = true},
     ALL_END(-ETIMEDOUT),
     ALL_END(-ETIMEDOUT)},
    {"unbounded", {.capacity = FL_UNBOUNDED}, ALL_END(-ETIMEDOUT), ALL_END(0)},
    {"unbounded, one consumer", {.capacity = FL_UNBOUNDED, .one_consumer = true}, ALL_END(-ETIMEDOUT), ALL_END(0)},
    {"lifo", {.capacity = CAPACITY, .order = FL_LIFO}, ALL_END(-EOWNERDEAD), ALL_END(-EOWNERDEAD)},
    {"unbounded lifo", {.capacity = FL_UNBOUNDED, .order = FL_LIFO}, ALL_END(-EOWNERDEAD), ALL_END(-EOWNERDEAD)},
    {"priority",
     {.capacity = CAPACITY, .order = FL_PRIORITY, .compare = compare},
     ALL_END(-EOWNERDEAD),
     ALL_END(-EOWNERDEAD)},
    {"overwrite", {.capacity = CAPACITY, .when_full = FL_OVERWRITE}, ALL_END(-EOWNERDEAD), ALL_END(-EOWNERDEAD)},
    {"rendezvous", {.capacity = FL_RENDEZVOUS}, ALL_END(-ETIMEDOUT), ALL_END(-ETIMEDOUT)},
};

static const struct kind *kind; /* the present one */
static int place;
static const char **doing; /* in memory shared with the child */

static struct item some[MANY];

static fl_time soon(void)
{
	return fl_after(FL_MS(2));
}

/* A result that a call in the child may have. */
static void ends(const char *call, int rc)
{
	const bool good = rc >= 0 || rc == -EAGAIN || rc == -ETIMEDOUT || rc == -EPIPE || rc == -EOWNERDEAD;
	if (!good)
		print_error("%s, stopped in %d: %s: %d\n", kind->name, place, call, rc);
	FL_CHECK(good);
}

#define ENDS(call)                                                                                                     \
	do {                                                                                                           \
		*doing = #call;                                                                                        \
		ends(*doing, (int)(call));                                                                             \
	} while (0)

static void use(fl_queue *q)
{
	size_t n;
	fl_queue_stats stats;
	ENDS(fl_queue_try_get(q, &some[0]));
	ENDS(fl_queue_try_put(q, &some[0]));
	ENDS(fl_queue_get_until(q, &some[0], soon(), NULL));
	ENDS(fl_queue_put_until(q, &some[0], soon(), NULL));
	ENDS(fl_queue_try_get_many(q, some, MANY, &n));
	ENDS(fl_queue_try_put_many(q, some, MANY, &n));
	ENDS(fl_queue_get_many_until(q, some, MANY, &n, soon(), NULL));
	ENDS(fl_queue_put_many_until(q, some, MANY, &n, soon(), NULL));
	ENDS(fl_select_until((fl_select_case[]){FL_GET(q, &some[0])}, 1, soon(), NULL));
	ENDS(fl_select_until((fl_select_case[]){FL_PUT(q, &some[0])}, 1, soon(), NULL));
	ENDS(FL_WAIT_ANY_UNTIL(soon(), NULL, FL_ON_QUEUE(q)));
	ENDS(FL_WAIT_ANY_UNTIL(soon(), NULL, FL_ON_QUEUE_SPACE(q)));
	ENDS((fl_queue_get_stats(q, &stats), 0));
	ENDS(fl_queue_length(q) > 0);
	ENDS(fl_queue_capacity(q) > 0);
	ENDS(fl_queue_is_closed(q));
	ENDS(fl_queue_unfinished(q) > 0);
	ENDS(fl_queue_try_join(q) == 0);
	ENDS(fl_queue_try_task_done(q) == 0);
	ENDS(fl_queue_unfinished(q) > 0 ? (fl_queue_task_done(q), 0) : 0);
	ENDS(fl_queue_join_until(q, soon(), NULL));
	ENDS(fl_queue_unfinished(q) == 0 ? fl_queue_join(q) : 0);
}

/* These wait without a deadline, unless the queue is closed. */
static void use_closed(fl_queue *q)
{
	size_t n;
	ENDS((fl_queue_close(q), 0));
	ENDS(fl_queue_put(q, &some[0]));
	ENDS(fl_queue_put_many(q, some, MANY, &n));
	while (place != IN_DROP && fl_queue_try_get(q, &some[0]) == 0)
		;
	ENDS(fl_queue_get(q, &some[0]));
	ENDS(fl_queue_get_many(q, some, MANY, &n));
	ENDS(fl_queue_close_now(q));
	ENDS((fl_queue_free(q), 0));
}

/* The calls end in the right way. */
static void drain_and_fill(fl_queue *q)
{
	int rc;
	while ((rc = fl_queue_get_until(q, &some[0], soon(), NULL)) == 0)
		;
	if (rc != kind->drained[place])
		print_error("%s, stopped in %d: gets end with %d\n", kind->name, place, rc);
	FL_RC(rc, kind->drained[place]);
	if (rc == -EOWNERDEAD) {
		FL_RC(fl_queue_get(q, &some[0]), -EOWNERDEAD);
		FL_RC(fl_queue_try_get(q, &some[0]), -EOWNERDEAD);
		FL_MANY(-EOWNERDEAD, 0, fl_queue_get_many, q, some, MANY);
		FL_RC(fl_select_until((fl_select_case[]){FL_GET(q, &some[0])}, 1, FL_FOREVER, NULL), -EOWNERDEAD);
	}
	for (int i = 0; i <= 2 * CAPACITY && (rc = fl_queue_put_until(q, &some[0], soon(), NULL)) == 0;)
		i++;
	if (rc != kind->filled[place])
		print_error("%s, stopped in %d: puts end with %d\n", kind->name, place, rc);
	FL_RC(rc, kind->filled[place]);
	if (rc == -EOWNERDEAD) {
		FL_RC(fl_queue_put(q, &some[0]), -EOWNERDEAD);
		FL_RC(fl_queue_try_put(q, &some[0]), -EOWNERDEAD);
		FL_MANY(-EOWNERDEAD, 0, fl_queue_put_many, q, some, MANY);
	}
}

static int in_child(void *queue)
{
	use(queue);
	*doing = "drain_and_fill";
	drain_and_fill(queue);
	use(queue);
	use_closed(queue);
	return 0;
}

static int free_in_child(void *queue)
{
	ENDS((fl_queue_free(queue), 0));
	return 0;
}

/* The thread that stops. */
static void *stop(void *queue)
{
	size_t n;
	switch (place) {
	case IN_PUT:
		FL_OK(fl_queue_put(queue, untouchable));
		break;
	case IN_GET:
		FL_OK(fl_queue_get(queue, untouchable));
		break;
	case IN_PUT_MANY:
		n = FL_MOVED(fl_queue_try_put_many, queue, untouchable, BEFORE);
		FL_CHECK(n > 0);
		break;
	case IN_GET_MANY:
		n = FL_MOVED(fl_queue_try_get_many, queue, untouchable, BEFORE);
		FL_CHECK(n > 0);
		break;
	default:
		n = fl_queue_close_now(queue);
		FL_CHECK(n == BEFORE);
	}
	return NULL;
}

static void forks(int (*function)(void *arg), void *arg)
{
	const pid_t pid = fl_test_fork(function, arg);
	const fl_time end = fl_after(FL_S(30));
	int status = 0, reaped;
	while ((reaped = waitpid(pid, &status, WNOHANG)) == 0 && !fl_time_is_past(end))
		(void)sched_yield();
	if (reaped == 0)
		print_error("%s, stopped in %d: the child hangs in %s\n", kind->name, place, *doing);
	if (reaped == 0)
		fl_test_kill(pid);
	FL_CHECK(reaped == pid && status == 0);
}

/* At a rendezvous, the thread that stops meets a partner, which waits. */
static void *meet(void *queue)
{
	struct item own;
	if (place == IN_PUT || place == IN_PUT_MANY)
		FL_OK(fl_queue_get(queue, &own));
	else
		FL_OK(fl_queue_put(queue, &some[0]));
	return NULL;
}

static bool a_partner_waits(void *queue)
{
	fl_queue_stats stats;
	fl_queue_get_stats(queue, &stats);
	return stats.waits_to_get + stats.waits_to_put > 0;
}

static void stops_and_forks(void)
{
	const bool rendezvous = kind->config.capacity == FL_RENDEZVOUS;
	fl_queue_config config = kind->config;
	fl_queue *q;
	pthread_t t, partner;
	if (place == IN_DROP)
		config.drop = on_drop;
	FL_OK(fl_queue_create(&q, sizeof(struct item), &config));
	for (int i = 0; i < BEFORE && !rendezvous; i++)
		FL_OK(fl_queue_put(q, &some[0]));
	if (rendezvous) {
		FL_OK(pthread_create(&partner, NULL, meet, q));
		fl_test_wait_until(a_partner_waits, q);
	}
	fl__store_release(&inside, 0);
	fl__store_release(&go_on, 0);
	FL_OK(mprotect(untouchable, MANY * sizeof *untouchable, PROT_NONE));
	FL_OK(pthread_create(&t, NULL, stop, q));
	FL_WAIT_FOR(fl__load_acquire(&inside));
	forks(in_child, q);
	forks(free_in_child, q);
	fl__store_release(&go_on, 1);
	FL_OK(pthread_join(t, NULL));
	if (rendezvous)
		FL_OK(pthread_join(partner, NULL));
	fl_queue_free(q); /* the parent's is as good as ever */
}

/* For each test: the memory that stops a thread, and its handler. */
static void with_stops(void (*function)(void))
{
	const struct sigaction stops = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	struct sigaction before, bus;
	const size_t size = MANY * sizeof *untouchable;
	untouchable = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	doing = mmap(NULL, sizeof *doing, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	FL_CHECK(untouchable != MAP_FAILED && doing != MAP_FAILED);
	FL_OK(sigaction(SIGSEGV, &stops, &before));
	FL_OK(sigaction(SIGBUS, &stops, &bus));
	function();
	FL_OK(sigaction(SIGSEGV, &before, NULL));
	FL_OK(sigaction(SIGBUS, &bus, NULL));
	FL_OK(munmap(untouchable, size));
	FL_OK(munmap(doing, sizeof *doing));
}

static void each_kind(void)
{
	FL_EACH (i, kinds)
		for (place = 0; place < PLACES; place++) {
			kind = &kinds[i];
			if (place != IN_DROP || kind->config.capacity != FL_RENDEZVOUS)
				stops_and_forks();
		}
}

FL_TEST(queue_in_use_at_a_fork)
{
	with_stops(each_kind);
}

/*
 * The queues without waits. A call is stopped in the middle, and the process forks. In the child
 * every call returns, and those that the stopped call does not hold up succeed.
 */
static fl_mpmc *ring;
static fl_spsc *pair;
static chain *list;

static void *stop_in_ring(void *unused)
{
	FL_OK(place == IN_PUT ? fl_mpmc_try_put(ring, untouchable) : fl_mpmc_try_get(ring, untouchable));
	return NULL;
}

static void *stop_in_pair(void *unused)
{
	FL_OK(place == IN_PUT ? fl_spsc_try_put(pair, untouchable) : fl_spsc_try_get(pair, untouchable));
	return NULL;
}

static void *stop_in_list(void *unused)
{
	FL_OK(place == IN_PUT ? chain_try_put(list, untouchable) : chain_try_get(list, untouchable));
	return NULL;
}

static int ring_in_child(void *unused)
{
	const int left = place == IN_PUT ? BEFORE : BEFORE - 1;
	for (int i = 0; i < left; i++)
		FL_OK((*doing = "fl_mpmc_try_get", fl_mpmc_try_get(ring, &some[0])));
	FL_RC(fl_mpmc_try_get(ring, &some[0]), place == IN_PUT ? -EBUSY : -EAGAIN);
	*doing = "fl_mpmc_try_get_many";
	FL_MANY(place == IN_PUT ? -EBUSY : -EAGAIN, 0, fl_mpmc_try_get_many, ring, some, MANY);
	*doing = "fl_mpmc_try_put";
	while (fl_mpmc_try_put(ring, &some[0]) == 0)
		;
	FL_RC(fl_mpmc_try_put(ring, &some[0]), place == IN_PUT ? -EAGAIN : -EBUSY);
	*doing = "fl_mpmc_try_put_many";
	FL_MANY(place == IN_PUT ? -EAGAIN : -EBUSY, 0, fl_mpmc_try_put_many, ring, some, MANY);
	*doing = "fl_mpmc_length and on";
	FL_CHECK(fl_mpmc_length(ring) <= fl_mpmc_capacity(ring));
	fl_mpmc_close(ring);
	FL_CHECK(fl_mpmc_is_closed(ring));
	FL_RC(fl_mpmc_try_put(ring, &some[0]), -EPIPE);
	fl_mpmc_free(ring);
	return 0;
}

/*
 * The child is a second producer and a second consumer, unless the stopped thread was on that side.
 */
static int pair_in_child(void *unused)
{
	*doing = "fl_spsc_try_...";
	if (place == IN_PUT) {
		FL_OK(fl_spsc_try_get(pair, &some[0]));
		FL_MANY(0, BEFORE - 1, fl_spsc_try_get_many, pair, some, MANY);
		FL_RC(fl_spsc_try_get(pair, &some[0]), -EAGAIN);
	} else {
		FL_OK(fl_spsc_try_put(pair, &some[0]));
		FL_MANY(-EAGAIN, CAPACITY - BEFORE - 1, fl_spsc_try_put_many, pair, some, MANY);
		FL_RC(fl_spsc_try_put(pair, &some[0]), -EAGAIN);
	}
	FL_CHECK(fl_spsc_length(pair) <= fl_spsc_capacity(pair));
	fl_spsc_free(pair);
	return 0;
}

static int list_in_child(void *unused)
{
	const int left = place == IN_PUT ? BEFORE : BEFORE - 1;
	*doing = "chain_...";
	for (int i = 0; i < left; i++)
		FL_OK(chain_try_get(list, &some[0]));
	FL_RC(chain_try_get(list, &some[0]), -EAGAIN);
	FL_MANY(0, MANY, chain_try_put_many, list, some, MANY);
	FL_OK(chain_try_put(list, &some[0]));
	FL_CHECK(chain_length(list) == MANY + 1);
	chain_close(list);
	FL_CHECK(chain_is_closed(list));
	FL_MANY(0, MANY, chain_try_get_many, list, some, MANY);
	chain_free(list);
	return 0;
}

static const struct kind rings[] = {{.name = "fl_mpmc"}, {.name = "fl_spsc"}, {.name = "chain"}};

static void each_ring(void)
{
	static void *(*const stops[])(void *unused) = {stop_in_ring, stop_in_pair, stop_in_list};
	static int (*const in_child_of[])(void *unused) = {ring_in_child, pair_in_child, list_in_child};
	FL_EACH (i, rings)
		for (place = IN_PUT; place <= IN_GET; place++) {
			pthread_t t;
			kind = &rings[i];
			FL_OK(fl_mpmc_create(&ring, sizeof(struct item), CAPACITY));
			FL_OK(fl_spsc_create(&pair, sizeof(struct item), CAPACITY));
			FL_OK(chain_create(&list, sizeof(struct item), NULL));
			for (int n = 0; n < BEFORE; n++) {
				FL_OK(fl_mpmc_try_put(ring, &some[0]));
				FL_OK(fl_spsc_try_put(pair, &some[0]));
				FL_OK(chain_try_put(list, &some[0]));
			}
			fl__store_release(&inside, 0);
			fl__store_release(&go_on, 0);
			FL_OK(mprotect(untouchable, MANY * sizeof *untouchable, PROT_NONE));
			FL_OK(pthread_create(&t, NULL, stops[i], NULL));
			FL_WAIT_FOR(fl__load_acquire(&inside));
			forks(in_child_of[i], NULL);
			fl__store_release(&go_on, 1);
			FL_OK(pthread_join(t, NULL));
			fl_mpmc_free(ring);
			fl_spsc_free(pair);
			chain_free(list);
		}
}

FL_TEST(queues_without_waits_in_use_at_a_fork)
{
	with_stops(each_ring);
}
