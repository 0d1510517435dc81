/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replaces processes under a process executor, as process_pools.h describes.
 *
 * A killed worker must not do anything more that another context could see. A running worker checks
 * for its kill between the steps of a submission, and dies there. A sleeping worker is dead at
 * once: its thread stays asleep until it is reaped, and then ends.
 */
#include "process/base/process_sys.h"
#include "process/pool/process_pool.h"
#include "process/shm/shm_sys.h"
#include "process_pools.h"
#include <stdio.h>

/* The descriptors are invalid numbers, so that closing one has no effect. */
enum { NUMBERS = 1 << 30, POOLS = 4096, CHANNELS = NUMBERS / 2 };
enum { EPOLL, MEMORY, DOORBELL = MEMORY + 2, DOORBELLS, SENTINEL = DOORBELLS + PROCESS_POOL_STARTS };
_Static_assert(SENTINEL + PROCESS_POOL_WORKERS == PROCESS_POOL_FDS, "a number for each");

enum life { AWAKE, ASLEEP, KILLED };

static struct process_pool *pools[POOLS];                /* changed only while no actor runs */
static _Thread_local struct process_pool *here;          /* where the thread submits */
static _Thread_local struct process_pool_worker *worker; /* the worker that the thread is */
static _Thread_local void *memories[2];                  /* of the worker that the thread starts */
static _Thread_local int n_memories, n_channels, n_doorbells;
static int (*shared_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);

FL_TASK_DEFINE(process_pool_task, int, int)
{
	*result = *arg + MORE;
	return 0;
}

FL_TASK_DEFINE(process_pool_task_again, int, int, .max_attempts = 2)
{
	*result = *arg + MORE;
	return 0;
}

FL_TASK_DEFINE(process_pool_prepare, void, void)
{
	return 0; /* its worker reports the result */
}

static struct process_pool *process_pool_of(int fd)
{
	return pools[(fd - NUMBERS) / PROCESS_POOL_FDS];
}

static int number_of(const struct process_pool *c, int kind)
{
	return NUMBERS + (int)c->index * PROCESS_POOL_FDS + kind;
}

/* The sleep of the manager thread. */

static atomic_int *readable(int fd)
{
	return &process_pool_of(fd)->readable[(fd - NUMBERS) % PROCESS_POOL_FDS];
}

/*
 * Makes a descriptor readable. release: the kernel's work on a descriptor is under a lock; pairs
 * with the acquire in newest()
 */
static void make_readable(int fd)
{
	struct process_pool *c = process_pool_of(fd);
	(void)atomic_exchange_explicit(readable(fd), 1, memory_order_release);
	COUNT(&c->events);
	(void)fl_stress_futex_wake(&c->events, 1);
}

/* Returns the newest value, because the kernel has no stale ones. */
static int newest(atomic_int *word)
{
	return atomic_fetch_add_explicit(word, 0, memory_order_acquire);
}

static void drain(int doorbell)
{
	(void)atomic_exchange_explicit(readable(doorbell), 0, memory_order_acquire);
}

static int collect_events(struct process_pool *c, struct epoll_event *events)
{
	const unsigned watched = LOOK(&c->watched);
	int n = 0;
	for (int i = 0; i < PROCESS_POOL_FDS; i++)
		if ((watched & 1u << i) && newest(&c->readable[i]))
			events[n++].data.fd = number_of(c, i);
	return n;
}

static int watch_wait(int epoll, struct epoll_event *events, int most, int ms)
{
	struct process_pool *c = process_pool_of(epoll);
	const int64_t until = ms < 0 ? FL__NEVER : fl_after(FL_MS(ms)).ns;
	FL_STRESS_CHECK(most > 2 * PROCESS_POOL_WORKERS);
	for (int rc = 0;;) {
		/* acquire: pairs with the release in watch() */
		unsigned seen = atomic_load_explicit(&c->events, memory_order_acquire);
		int n = collect_events(c, events);
		if (n > 0 || ms == 0 || rc == -ETIMEDOUT)
			return n;
		rc = fl_stress_futex_wait(&c->events, seen, until);
		if (rc == -EINTR)
			return rc;
	}
}

static int watch(int epoll, int op, int fd, uint32_t events)
{
	struct process_pool *c = process_pool_of(epoll);
	const unsigned bit = 1u << (fd - NUMBERS) % PROCESS_POOL_FDS;
	if (op == EPOLL_CTL_ADD)
		(void)atomic_fetch_or_explicit(&c->watched, bit, memory_order_relaxed);
	else
		(void)atomic_fetch_and_explicit(&c->watched, ~bit, memory_order_relaxed);
	/* release: pairs with the acquire in watch_wait(), for the store above */
	(void)atomic_fetch_add_explicit(&c->events, 1, memory_order_release);
	(void)fl_stress_futex_wake(&c->events, 1);
	return 0;
}

static int watch_create(void)
{
	return number_of(here, EPOLL);
}

/*
 * Returns the pool of a thread that submits, or of a thread of the pool itself, whose name begins
 * with the pool's number.
 */
static struct process_pool *own_pool(void)
{
	return here ? here : pools[atoi(fl_thread_current_name())];
}

/* Returns the executor's doorbell to a submit, and a worker's doorbell to the starter. */
static int event(void)
{
	if (here)
		return number_of(here, DOORBELL);
	FL_STRESS_CHECK(n_doorbells < PROCESS_POOL_STARTS);
	return number_of(own_pool(), DOORBELLS + n_doorbells++);
}

/* The worker's side. */

static int sentinel_of(const struct process_pool_worker *w)
{
	return number_of(w->pool, SENTINEL + (int)w->number);
}

/* The worker does nothing more. A context that sees this sees all that the worker did. */
static void die(const struct process_pool_worker *w)
{
	make_readable(sentinel_of(w));
}

static bool is_dead(const struct process_pool_worker *w)
{
	return newest(readable(sentinel_of(w)));
}

static bool is_killed(struct process_pool_worker *w)
{
	return newest(&w->life) == KILLED;
}

static bool become(struct process_pool_worker *w, int from, int to)
{
	return atomic_compare_exchange_strong_explicit(&w->life, &from, to, memory_order_release, memory_order_relaxed);
}

/* In any sleep the executor may have the worker killed. */
static int wait_unless_killed(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	if (!worker)
		return shared_wait(word, expected, deadline);
	if (become(worker, AWAKE, ASLEEP)) {
		int rc = shared_wait(word, expected, deadline);
		if (become(worker, ASLEEP, AWAKE))
			return rc;
	} else if (!is_dead(worker)) {
		die(worker);
	}
	while (!newest(&worker->reaped))
		(void)fl_stress_futex_wait(&worker->reaped, 0, FL__NEVER);
	return 0;
}

/* Returns whether the worker dies here. */
static bool dies(const struct process_pool_worker *w, enum process_pool_death where)
{
	const struct process_pool *c = w->pool;
	return w->number == 0 && c->death == where && w->taken == c->dies_in;
}

static void on_end(void *arg)
{
	const struct process_pool_worker *w = arg;
	if (!dies(w, DIES_UNHEARD))
		make_readable(w->doorbell);
}

/* Runs until the worker is asked to stop, or killed. Returns 0, or the error. */
static int wait_for_request(struct process_pool_worker *w, bool obeys)
{
	while (!is_killed(w)) {
		/* acquire: pairs with the release in fl__rings_request_stop() */
		uint32_t asks = fl__load_acquire(&w->submissions->stop_requests);
		if (obeys && fl__rings_stop_requested(&w->rings))
			return -ECANCELED;
		fl__rings_await_stop_request(&w->rings, asks);
	}
	return 0;
}

/* Runs the next element. `*count` is the number of elements that have succeeded. */
static int run_element(struct process_pool_worker *w, const struct fl__submission *order, uint32_t *count)
{
	const int *task = (const int *)(const void *)order->small + *count;
	int *result = (int *)(void *)w->completions->entry[w->rings.next % FL__RINGS_DEPTH].small + *count;
	COUNT(&w->pool->ran[*task]);
	if (*task == UNTIL_ASKED || *task == HANGS)
		return wait_for_request(w, *task == UNTIL_ASKED);
	*count += *task == LIES ? 2 : 1;
	return process_pool_task.run(NULL, task, result);
}

/*
 * Runs the elements of a submission. A death in the middle is in the element with the number
 * `dies_at`.
 */
static int run_task(struct process_pool_worker *w, const struct fl__submission *order, uint32_t *count)
{
	for (;;) {
		const uint32_t before = *count;
		const int error = run_element(w, order, count);
		if (error != 0 || *count == before || *count >= order->count ||
		    (dies(w, DIES_DURING) && before == w->pool->dies_at))
			return error;
		fl__rings_set_progress(&w->rings, *count);
	}
}

/* Serves one submission as worker.c does. Returns false if the worker is to end. */
static bool serve_one(struct process_pool_worker *w)
{
	uint32_t count = 0;
	if (dies(w, DIES_BEFORE))
		return false;
	const struct fl__submission *order = fl__rings_take(&w->rings);
	const bool initializes = order->flags & FL__SUBMISSION_INITIALIZE;
	if (order->flags & FL__SUBMISSION_EXIT)
		return false;
	const bool asked = fl__rings_stop_requested(&w->rings);
	int error = asked ? 0 : initializes ? w->pool->init_error : run_task(w, order, &count);
	if (dies(w, DIES_DURING) || is_killed(w))
		return false;
	if (initializes && error == 0)
		count = order->count;
	fl__rings_complete(&w->rings, error, asked ? FL__COMPLETION_SKIPPED : 0, count);
	if (dies(w, DIES_UNHEARD) || dies(w, DIES_AFTER))
		return false;
	if (count > order->count)
		/* The worker will be killed for this, and so the call returns 0, which is false. */
		return wait_for_request(w, false);
	w->taken++;
	return error == 0 || !initializes;
}

static int serve(void *arg)
{
	struct process_pool_worker *w = arg;
	worker = w;
	fl__worker_rings_init(&w->rings, w->submissions, w->completions);
	w->rings.ring = on_end;
	w->rings.arg = w;
	if (!dies(w, DIES_UNREADY)) {
		fl__store_release(&w->completions->state, FL__WORKER_READY);
		w->says_ready = true;
		while (serve_one(w))
			;
	}
	if (!is_dead(w))
		die(w);
	return 0;
}

/* Processes. */

static int check_start(void)
{
	return 0;
}

static int start(fl_process **p, const fl_process_config *config)
{
	struct process_pool *c = process_pool_of(config->fds[FL__WORKER_DOORBELL]);
	if (c->start_fails > 0) {
		c->start_fails--;
		return -EAGAIN;
	}
	struct process_pool_worker *w = &c->workers[c->n_workers];
	FL_STRESS_CHECK(c->n_workers < PROCESS_POOL_WORKERS);
	w->pool = c;
	w->number = c->n_workers++;
	c->at[(config->fds[FL__WORKER_CHANNEL] - CHANNELS) / 2] = w;
	w->doorbell = config->fds[FL__WORKER_DOORBELL];
	w->submissions = memories[config->fds[FL__WORKER_SUBMISSIONS] - NUMBERS - MEMORY];
	w->completions = memories[config->fds[FL__WORKER_COMPLETIONS] - NUMBERS - MEMORY];
	*p = (fl_process *)w;
	return fl_thread_start(&w->thread, serve, w, &(fl_thread_config){.name = config->name});
}

static struct process_pool_worker *worker_of(const fl_process *p)
{
	return (struct process_pool_worker *)(uintptr_t)p;
}

static int slay(fl_process *p)
{
	struct process_pool_worker *w = worker_of(p);
	/* acquire: its last writes, which are reported on its behalf */
	if (atomic_exchange_explicit(&w->life, KILLED, memory_order_acq_rel) == ASLEEP)
		die(w);
	return 0;
}

/*
 * Ends the sleep of a worker that was killed while it slept. For this it posts several submissions
 * to leave, because the first one may have been taken back.
 */
static void send_home(struct process_pool_worker *w)
{
	enum { TAKEN_BACK_MOST = 3 };
	struct fl__submission *order = w->submissions->entry;
	const uint32_t next = w->rings.next;
	for (uint32_t seq = next; seq <= next + TAKEN_BACK_MOST; seq++) {
		order[seq % FL__RINGS_DEPTH].flags = FL__SUBMISSION_EXIT;
		fl__store_release(&order[seq % FL__RINGS_DEPTH].seq, seq);
	}
	fl__add_release(&w->submissions->stop_requests, 1);
	(void)atomic_exchange_explicit(&w->reaped, 1, memory_order_release);
	(void)fl_stress_futex_wake(&w->reaped, 1);
	(void)fl__sys.shared_wake(&order[next % FL__RINGS_DEPTH].seq, 1);
	(void)fl__sys.shared_wake(&w->submissions->stop_requests, 1);
}

static void bury(fl_process *p)
{
	struct process_pool_worker *w = worker_of(p);
	if (!w)
		return;
	FL_STRESS_CHECK(is_dead(w));
	if (is_killed(w))
		send_home(w);
	OK(fl_thread_join(w->thread, NULL));
}

static int try_join(fl_process *p, fl_process_status *status)
{
	*status = (fl_process_status){.code = -1, .signal = SIGKILL};
	return is_dead(worker_of(p)) ? 0 : -EAGAIN;
}

static bool is_alive(const fl_process *p)
{
	return !is_dead(worker_of(p));
}

static int sentinel(const fl_process *p)
{
	return sentinel_of(worker_of(p));
}

static int pid(const fl_process *p)
{
	return (int)worker_of(p)->number + 1;
}

static const char *name(const fl_process *p)
{
	return "worker";
}

static int pair(int sockets[2])
{
	sockets[0] = CHANNELS + 2 * n_channels++;
	sockets[1] = sockets[0] + 1;
	return 0;
}

/* The only request asks whether a worker was ready, and it is made when the worker is dead. */
static ssize_t receive(int socket, struct msghdr *message, int flags)
{
	static const struct fl__memfd_packet ready = {.magic = FL__READY_MAGIC};
	message->msg_controllen = 0;
	struct process_pool_worker *w = own_pool()->at[(socket - CHANNELS) / 2];
	if (!w->says_ready)
		return -EPIPE;
	w->says_ready = false;
	*(struct fl__memfd_packet *)message->msg_iov->iov_base = ready;
	return sizeof ready;
}

/* The worker's memory. It has no arenas, which small arguments and results do not need. */

static int memory(void)
{
	return NUMBERS + MEMORY + n_memories++ % 2;
}

static int resize(int fd, uint64_t size)
{
	void *there = fl__sys.map(size - FL__RINGS_ARENA);
	memories[fd - NUMBERS - MEMORY] = there;
	return there ? 0 : -ENOMEM;
}

static int fill(int fd, uint64_t at, uint64_t size)
{
	return 0;
}

static int add_seals(int fd, int seals)
{
	return 0;
}

static int map(int fd, size_t size, bool writable, void **there)
{
	*there = memories[fd - NUMBERS - MEMORY];
	return 0;
}

static int keep(void *there, size_t size)
{
	return 0;
}

static void unmap(void *there, size_t size)
{
	fl__sys.unmap(there, size - FL__RINGS_ARENA);
}

/* What the scenarios call. */

static void take_over(void)
{
	fl__process_pool_sys = (struct fl__process_pool_sys){
	    .check_start = check_start,
	    .start = start,
	    .free = bury,
	    .kill = slay,
	    .try_join = try_join,
	    .is_alive = is_alive,
	    .sentinel = sentinel,
	    .pid = pid,
	    .name = name,
	    .ring = make_readable,
	    .drain = drain,
	};
	fl__shm_sys.memory = memory;
	fl__shm_sys.resize = resize;
	fl__shm_sys.fill = fill;
	fl__shm_sys.add_seals = add_seals;
	fl__shm_sys.map = map;
	fl__shm_sys.keep = keep;
	fl__shm_sys.unmap = unmap;
	fl__process_sys.eventfd = event;
	fl__fd_sys.epoll_create = watch_create;
	fl__fd_sys.epoll_control = watch;
	fl__fd_sys.epoll_wait = watch_wait;
	fl__fd_sys.pair = pair;
	fl__net_sys.recvmsg = receive;
	shared_wait = fl__sys.shared_wait;
	fl__sys.shared_wait = wait_unless_killed;
}

void process_pool_begin(struct process_pool *c, const fl_executor_config *config)
{
	if (fl__process_pool_sys.start != start)
		take_over();
	while (pools[c->index])
		if (++c->index == POOLS)
			abort();
	pools[c->index] = c;
	snprintf(c->name, sizeof c->name, "%u", c->index);
	fl_executor_config named = *config;
	named.name = c->name;
	OK(fl_process_executor_create(&c->e, &named));
	struct fl__task_block *block = fl__task_block_new(c->e->blocks, &process_pool_task, 1, sizeof(int), 0);
	FL_STRESS_CHECK(block); /* the first allocation makes many, step by step */
	fl__task_block_release(block);
}

void process_pool_end(struct process_pool *c)
{
	fl_executor_free(c->e);
	pools[c->index] = NULL;
}

int process_pool_submit_with(struct process_pool *c, const fl_task_type *type, int task, fl_future **f,
                             const fl_submit_config *config)
{
	here = c;
	return fl_executor_submit_with(c->e, type, &task, f, config);
}

int process_pool_submit(struct process_pool *c, int task, fl_future **f)
{
	return process_pool_submit_with(c, &process_pool_task, task, f, NULL);
}

int process_pool_map(struct process_pool *c, const int *tasks, size_t n, int *results, const fl_map_config *config)
{
	here = c;
	return process_pool_task_map(c->e, tasks, n, results, config);
}

void process_pool_get(fl_future *f, int task)
{
	int got = 0;
	OK(process_pool_task_get(f, &got));
	FL_STRESS_CHECK(got == task + MORE);
}

void process_pool_submit_get(struct process_pool *c, int task)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(process_pool_submit(c, task, &f));
	process_pool_get(f, task);
}
