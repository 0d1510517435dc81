/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * try_blocks_on_stalled_peer, on real threads: the other side of a queue without locks is stopped
 * again and again, at any instruction, and each try form returns during that time, with a result
 * that its header has for this case, and without a wait. (The model stops the peer at each step in
 * turn, and counts: spsc_stalled and its kin in stress/cases.)
 *
 * A ring is only in its own memory, so its peer is another process, over shared memory, and is
 * stopped by SIGSTOP. An unbounded queue has hazard pointers and segments of one process, and
 * SIGSTOP stops all threads of a process. So its peer is a thread that a signal handler holds:
 * until the handler returns it executes no instruction of the queue. It is not stopped inside of
 * the allocator, which has locks of its own, as the headers say.
 *
 * How a bounded number of steps is tested: nothing else moves, so a wait for the peer lasts for
 * ever, and the runner ends it. And a try neither sleeps nor yields, and loops at most TURNS times
 * for each slot that the peer has left open.
 */
#include "fl_faults.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOPS = 1000, BATCH = 3, CAPACITY = 5, ENOUGH = 6, TURNS = 64, WORDS = 128 };
enum { CLOSES = 1, CAN_BE_FULL = 2, CAN_BE_BUSY = 4 };
enum { PUTS = 1, GETS = 2 };

/*
 * So large that most of an operation is the copy, and most stops come in the middle of it. All
 * words are equal.
 */
struct item {
	uint64_t words[WORDS];
};

/* A kind of queue. */
struct shape {
	unsigned flags;
	int (*create)(void **q);
	void (*free)(void *q);
	int (*put)(void *q, const struct item *item);
	int (*get)(void *q, struct item *item);
	size_t (*put_many)(void *q, const struct item *items, size_t n);
	size_t (*get_many)(void *q, struct item *items, size_t n);
	size_t (*length)(void *q);
	void (*close)(void *q);
	bool (*is_closed)(void *q);
};

/* A user of the queue. Items are numbers in order, with the number of their producer. */
struct side {
	const struct shape *shape;
	void *q;
	unsigned number, may;
	uint64_t random, put, got, next[2]; /* next: at least so far is each one's order */
	uint32_t done;                      /* operations; atomic */
	uint32_t ends;                      /* atomic */
	pthread_t thread;
};

#define SHAPE_CALLS(prefix)                                                                                            \
	static void prefix##_end(void *q)                                                                              \
	{                                                                                                              \
		prefix##_free(q);                                                                                      \
	}                                                                                                              \
	static int prefix##_put_one(void *q, const struct item *item)                                                  \
	{                                                                                                              \
		return prefix##_try_put(q, item);                                                                      \
	}                                                                                                              \
	static int prefix##_get_one(void *q, struct item *item)                                                        \
	{                                                                                                              \
		return prefix##_try_get(q, item);                                                                      \
	}                                                                                                              \
	static size_t prefix##_put_some(void *q, const struct item *items, size_t n)                                   \
	{                                                                                                              \
		return prefix##_try_put_many(q, items, n);                                                             \
	}                                                                                                              \
	static size_t prefix##_get_some(void *q, struct item *items, size_t n)                                         \
	{                                                                                                              \
		return prefix##_try_get_many(q, items, n);                                                             \
	}                                                                                                              \
	static size_t prefix##_count(void *q)                                                                          \
	{                                                                                                              \
		return prefix##_length(q);                                                                             \
	}

#define SHAPE_CLOSE(prefix)                                                                                            \
	static void prefix##_shut(void *q)                                                                             \
	{                                                                                                              \
		prefix##_close(q);                                                                                     \
	}                                                                                                              \
	static bool prefix##_is_shut(void *q)                                                                          \
	{                                                                                                              \
		return prefix##_is_closed(q);                                                                          \
	}

#define SHAPE_OF(prefix, make)                                                                                         \
	.create = prefix##_##make, .free = prefix##_end, .put = prefix##_put_one, .get = prefix##_get_one,             \
	.put_many = prefix##_put_some, .get_many = prefix##_get_some, .length = prefix##_count

SHAPE_CALLS(fl_spsc)

static int fl_spsc_make(void **q)
{
	return fl_spsc_create((fl_spsc **)q, sizeof(struct item), CAPACITY);
}

static const struct shape spsc = {CAN_BE_FULL, SHAPE_OF(fl_spsc, make), .close = NULL};

/* The typed form, which is inline. */
FL_SPSC_OF(struct item, numbers)

static int numbers_make(void **q)
{
	return numbers_create((numbers **)q, CAPACITY);
}

static void numbers_end(void *q)
{
	numbers_free(q);
}

static int numbers_put_one(void *q, const struct item *item)
{
	return numbers_try_put(q, *item);
}

static int numbers_get_one(void *q, struct item *item)
{
	return numbers_try_get(q, item);
}

static size_t numbers_put_some(void *q, const struct item *items, size_t n)
{
	return numbers_try_put_many(q, items, n);
}

static size_t numbers_get_some(void *q, struct item *items, size_t n)
{
	return numbers_try_get_many(q, items, n);
}

static size_t numbers_count(void *q)
{
	return numbers_length(q);
}

static const struct shape typed = {CAN_BE_FULL, SHAPE_OF(numbers, make), .close = NULL};

SHAPE_CALLS(fl_mpmc)
SHAPE_CLOSE(fl_mpmc)

static int fl_mpmc_make(void **q)
{
	return fl_mpmc_create((fl_mpmc **)q, sizeof(struct item), CAPACITY);
}

static const struct shape mpmc = {CLOSES | CAN_BE_FULL | CAN_BE_BUSY, SHAPE_OF(fl_mpmc, make), fl_mpmc_shut,
                                  fl_mpmc_is_shut};

SHAPE_CALLS(fl_mpmc_unbounded)
SHAPE_CLOSE(fl_mpmc_unbounded)

static int fl_mpmc_unbounded_make(void **q)
{
	return fl_mpmc_unbounded_create((fl_mpmc_unbounded **)q, sizeof(struct item),
	                                &(fl_mpmc_unbounded_config){.segment = CAPACITY});
}

static const struct shape unbounded = {CLOSES, SHAPE_OF(fl_mpmc_unbounded, make), fl_mpmc_unbounded_shut,
                                       fl_mpmc_unbounded_is_shut};

static int fl_mpmc_unbounded_make_inbox(void **q)
{
	return fl_mpmc_unbounded_create((fl_mpmc_unbounded **)q, sizeof(struct item),
	                                &(fl_mpmc_unbounded_config){.segment = CAPACITY, .one_consumer = true});
}

static const struct shape mpsc = {CLOSES, SHAPE_OF(fl_mpmc_unbounded, make_inbox), fl_mpmc_unbounded_shut,
                                  fl_mpmc_unbounded_is_shut};

/* --- what both sides do --- */

static unsigned draw(struct side *s, unsigned below)
{
	s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(s->random >> 33) % below;
}

/* The next ones that `s` has to put. */
static void fill(const struct side *s, struct item *items)
{
	for (unsigned i = 0; i < BATCH; i++)
		for (unsigned k = 0; k < WORDS; k++)
			items[i].words[k] = (s->put + i) * 2 + s->number;
}

/* Whole, and each one's in order, to whomever. */
static void check_got(struct side *s, const struct item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const uint64_t word = items[i].words[0];
		for (unsigned k = 1; k < WORDS; k++)
			FL_CHECK(items[i].words[k] == word);
		FL_CHECK(word / 2 >= s->next[word % 2]);
		s->next[word % 2] = word / 2 + 1;
	}
	s->got += n;
}

static void put(struct side *s, unsigned n)
{
	struct item items[BATCH];
	fill(s, items);
	if (n > 0) {
		size_t k = s->shape->put_many(s->q, items, n);
		FL_CHECK(k <= n);
		s->put += k;
		return;
	}
	int rc = s->shape->put(s->q, items);
	FL_CHECK(rc == 0 || rc == -EPIPE || (rc == -EAGAIN && s->shape->flags & CAN_BE_FULL) ||
	         (rc == -EBUSY && s->shape->flags & CAN_BE_BUSY));
	s->put += rc == 0;
}

/* What the get said; 0 also of one for several. */
static int get(struct side *s, unsigned n)
{
	struct item items[BATCH];
	if (n > 0) {
		size_t k = s->shape->get_many(s->q, items, n);
		FL_CHECK(k <= n);
		check_got(s, items, k);
		return 0;
	}
	int rc = s->shape->get(s->q, items);
	FL_CHECK(rc == 0 || rc == -EAGAIN || rc == -EPIPE || (rc == -EBUSY && s->shape->flags & CAN_BE_BUSY));
	check_got(s, items, rc == 0);
	return rc;
}

/* One of the forms: n items by that for several, 0: one by that for one. */
static void operate(struct side *s)
{
	const unsigned n = draw(s, 2) * (1 + draw(s, BATCH));
	if (s->may == GETS || (s->may == (PUTS | GETS) && draw(s, 2) == 0))
		(void)get(s, n);
	/* Or a growing queue would never be so short that both sides meet. */
	else if (s->shape->length(s->q) < ENOUGH)
		put(s, n);
}

static bool has_to_end(const struct side *s)
{
	return fl__load_relaxed(&s->ends) || (s->shape->is_closed && s->shape->is_closed(s->q));
}

static void operate_until_the_end(struct side *s)
{
	while (!has_to_end(s)) {
		operate(s);
		fl__add_release(&s->done, 1u); /* pairs with let_run(): its thread's */
	}
}

/* --- what no try may do --- */

static _Thread_local unsigned turns, sleeps;

static void count_turn(void)
{
	turns++;
	fl_test_real_sys.relax();
}

static void count_yield(void)
{
	sleeps++;
	fl_test_real_sys.yield();
}

static int count_sleep(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	sleeps++;
	return fl_test_real_sys.futex_wait(word, expected, deadline);
}

#define WITHIN_BOUNDS(call)                                                                                            \
	do {                                                                                                           \
		turns = sleeps = 0;                                                                                    \
		call;                                                                                                  \
		FL_CHECK(sleeps == 0 && turns <= TURNS * BATCH);                                                       \
	} while (0)

/*
 * The peer is stopped: calls each form repeatedly; gets first, so that they reach the peer's slot.
 */
static void try_all(struct side *s)
{
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned n = 0; n <= BATCH && s->may & PUTS && i > 0; n++)
			WITHIN_BOUNDS(put(s, n));
		for (unsigned n = 0; n <= BATCH && s->may & GETS; n++)
			WITHIN_BOUNDS((void)get(s, n));
		WITHIN_BOUNDS((void)s->shape->length(s->q));
		if (s->shape->is_closed)
			WITHIN_BOUNDS(FL_CHECK(!s->shape->is_closed(s->q)));
	}
}

/* The same of the end; what the peer was about to do comes later. */
static void try_close(struct side *s)
{
	if (!s->shape->close)
		return;
	WITHIN_BOUNDS(s->shape->close(s->q));
	WITHIN_BOUNDS(FL_CHECK(s->shape->is_closed(s->q)));
	if (s->may & PUTS)
		WITHIN_BOUNDS(FL_CHECK(s->shape->put(s->q, &(struct item){{0}}) == -EPIPE));
	if (s->may & GETS)
		WITHIN_BOUNDS((void)get(s, 0));
}

/*
 * Lets the peer run for some operations, and does the opposite operations: otherwise the peer would
 * only find the queue full, or empty.
 */
static void let_run(struct side *s, struct side *peer)
{
	/* Relaxed: a count. */
	const uint32_t from = fl__load_relaxed(&peer->done), n = 1 + draw(s, 16);
	const unsigned may = s->may;
	s->may = peer->may == (PUTS | GETS) ? may : may & ~peer->may;
	/* Pairs with the release there. */
	FL_WAIT_FOR((operate(s), fl__load_acquire(&peer->done) - from >= n));
	s->may = may;
}

/* The peer has gone: everything that was put has been got, once. */
static void settle(struct side *s, const struct side *peer)
{
	int rc;
	s->next[0] = s->next[1] = 0; /* the two may have had them in turns */
	while ((rc = get(s, 0)) == 0)
		;
	FL_CHECK(rc == (s->shape->close ? -EPIPE : -EAGAIN));
	FL_CHECK(s->put + peer->put == s->got + peer->got);
	s->shape->free(s->q);
}

static void begin(struct side *s, const struct shape *shape, unsigned peer_may)
{
	const bool one_consumer = shape == &mpsc, one_of_each = !shape->close;
	s[0] = (struct side){.shape = shape, .number = 0, .random = 1};
	s[1] = (struct side){.shape = shape, .number = 1, .random = 2, .may = peer_may};
	s[0].may = one_of_each ? (PUTS | GETS) & ~peer_may : one_consumer && peer_may & GETS ? PUTS : PUTS | GETS;
	FL_OK(shape->create(&s[0].q));
	s[1].q = s[0].q;
	fl__sys.relax = count_turn;
	fl__sys.yield = count_yield;
	fl__sys.futex_wait = count_sleep;
}

/* --- a peer that is a process --- */

/* From the first, with its size in front. */
static void *shared_alloc(size_t size)
{
	enum { FRONT = 64 };
	void *memory = mmap(NULL, size + FRONT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	*(size_t *)memory = size + FRONT;
	return (char *)memory + FRONT;
}

static void shared_free(void *memory)
{
	char *first = (char *)memory - 64;
	FL_CHECK(munmap(first, *(size_t *)(void *)first) == 0);
}

static pid_t start_process(struct side *peer)
{
	(void)fflush(NULL);
	const pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		/* No alarm ends a stopped process. */
		FL_CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
		operate_until_the_end(peer);
		_exit(0);
	}
	return pid;
}

static void stop_processes(const struct shape *shape, unsigned peer_may)
{
	FL_FAULTS();
	fl__sys.alloc = shared_alloc;
	fl__sys.free = shared_free;
	struct side *s = shared_alloc(2 * sizeof *s);
	FL_CHECK(s);
	begin(s, shape, peer_may);
	const pid_t pid = start_process(&s[1]);
	int status;
	for (unsigned i = 0, stops = fl_test_scaled(STOPS); i < stops; i++) {
		let_run(&s[0], &s[1]);
		FL_OK(kill(pid, SIGSTOP));
		FL_CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
		try_all(&s[0]);
		if (i + 1 == stops)
			try_close(&s[0]);
		FL_OK(kill(pid, SIGCONT));
	}
	fl__store_relaxed(&s[1].ends, 1); /* relaxed: it sees it some time */
	FL_CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	settle(&s[0], &s[1]);
	shared_free(s);
}

FL_TEST(spsc_try_blocks_on_stalled_peer)
{
	stop_processes(&spsc, PUTS);
	stop_processes(&spsc, GETS);
	stop_processes(&typed, PUTS);
	stop_processes(&typed, GETS);
}

/* -EBUSY is right for the slot of the stopped peer, and for the slots behind it. */
FL_TEST(mpmc_try_blocks_on_stalled_peer)
{
	stop_processes(&mpmc, PUTS);
	stop_processes(&mpmc, GETS);
	stop_processes(&mpmc, PUTS | GETS);
}

/* --- a peer that is a thread --- */

static int gate[2];     /* a pipe: a byte lets it go on */
static uint32_t parked; /* how often it was stopped; atomic */

static void park(int signal)
{
	const int before = errno;
	char byte;
	(void)signal;
	/* Pairs with the acquire in stop_threads(): the thread is stopped here. */
	fl__add_release(&parked, 1u);
	FL_CHECK(read(gate[0], &byte, 1) == 1);
	errno = before;
}

static void mask_stops(int how)
{
	sigset_t stops;
	(void)sigemptyset(&stops);
	(void)sigaddset(&stops, SIGUSR1);
	FL_CHECK(pthread_sigmask(how, &stops, NULL) == 0);
}

static void *unstopped_alloc(size_t size)
{
	mask_stops(SIG_BLOCK);
	void *memory = fl_test_real_sys.alloc(size);
	mask_stops(SIG_UNBLOCK);
	return memory;
}

static void unstopped_free(void *memory)
{
	mask_stops(SIG_BLOCK);
	fl_test_real_sys.free(memory);
	mask_stops(SIG_UNBLOCK);
}

static int run_peer(void *arg)
{
	struct side *s = arg;
	s->thread = pthread_self();
	operate(s); /* its first call is not stopped: it may ask the C library for memory */
	operate_until_the_end(s);
	mask_stops(SIG_BLOCK);
	return 0;
}

static void stop_threads(const struct shape *shape, unsigned peer_may)
{
	FL_FAULTS();
	struct side s[2];
	struct sigaction before, parks = {.sa_handler = park, .sa_flags = SA_RESTART};
	fl_thread thread;
	FL_OK(pipe(gate));
	FL_OK(sigaction(SIGUSR1, &parks, &before));
	fl__sys.alloc = unstopped_alloc;
	fl__sys.free = unstopped_free;
	begin(s, shape, peer_may);
	FL_OK(fl_thread_start(&thread, run_peer, &s[1], NULL));
	for (unsigned i = 0, stops = fl_test_scaled(STOPS); i < stops; i++) {
		let_run(&s[0], &s[1]);
		const uint32_t was = fl__load_relaxed(&parked);
		FL_OK(pthread_kill(s[1].thread, SIGUSR1));
		FL_WAIT_FOR(fl__load_acquire(&parked) != was); /* pairs with park() */
		try_all(&s[0]);
		if (i + 1 == stops)
			try_close(&s[0]);
		FL_CHECK(write(gate[1], "", 1) == 1);
	}
	int rc;
	FL_OK(fl_thread_join(&thread, &rc));
	FL_OK(rc);
	settle(&s[0], &s[1]);
	FL_OK(sigaction(SIGUSR1, &before, NULL));
	FL_OK(close(gate[0]));
	FL_OK(close(gate[1]));
}

FL_TEST(mpmc_unbounded_try_blocks_on_stalled_peer)
{
	stop_threads(&unbounded, PUTS);
	stop_threads(&unbounded, GETS);
	stop_threads(&unbounded, PUTS | GETS);
}

FL_TEST(mpsc_try_blocks_on_stalled_peer)
{
	stop_threads(&mpsc, PUTS);
	stop_threads(&mpsc, GETS);
}
