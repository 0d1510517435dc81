/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In the fibers of a loop: the objects of shared memory, processes, and pipes. test_loop_locks.c
 * has the private kinds.
 */
#include "fl_faults.h"
#include "fl_in_loop.h"

/* Locks. A shared mutex knows fibers of one thread apart. */
static void hold_mutex(void *m)
{
	FL_OK(fl_shm_mutex_lock(m));
}

static void leave_mutex(void *m)
{
	FL_CHECK(fl_shm_mutex_depth(m));
	fl_shm_mutex_unlock(m);
}

static int pass_mutex(void *m)
{
	FL_CHECK(!fl_shm_mutex_depth(m));
	int rc = fl_shm_mutex_lock(m);
	if (rc == 0)
		leave_mutex(m);
	return rc;
}

FL_TEST(loop_locks_shm_mutex)
{
	static fl_shm_mutex m = FL_SHM_MUTEX_INIT;
	FL_MEET(.object = &m, .hold = hold_mutex, .wait = pass_mutex, .wake = leave_mutex);
}

static void hold_recursive(void *m)
{
	FL_OK(fl_shm_mutex_lock(m));
	FL_OK(fl_shm_mutex_lock(m));
}

static void leave_recursive(void *m)
{
	fl_shm_mutex_unlock(m);
	FL_CHECK(fl_shm_mutex_depth(m));
	fl_shm_mutex_unlock(m);
}

static int pass_recursive(void *m)
{
	FL_CHECK(!fl_shm_mutex_depth(m));
	hold_recursive(m);
	leave_recursive(m);
	return 0;
}

FL_TEST(loop_locks_shm_recursive)
{
	static fl_shm_mutex m = FL_SHM_MUTEX_RECURSIVE_INIT;
	FL_MEET(.object = &m, .hold = hold_recursive, .wait = pass_recursive, .wake = leave_recursive);
}

typedef struct board {
	fl_shm_mutex lock;
	fl_shm_cond changed;
	bool ready;
} board;

static void clear_board(void *arg)
{
	((board *)arg)->ready = false;
}

static bool is_ready(void *arg)
{
	return ((const board *)arg)->ready;
}

static int wait_for_board(void *arg)
{
	board *b = arg;
	hold_mutex(&b->lock);
	int rc = fl_shm_cond_wait_for(&b->changed, &b->lock, is_ready, b);
	leave_mutex(&b->lock);
	return rc;
}

static void change_board(void *arg)
{
	board *b = arg;
	hold_mutex(&b->lock);
	b->ready = true;
	fl_shm_cond_broadcast(&b->changed);
	leave_mutex(&b->lock);
}

FL_TEST(loop_locks_shm_cond)
{
	static board b;
	FL_MEET(.object = &b, .begin = clear_board, .wait = wait_for_board, .wake = change_board);
}

/* Semaphores. */
static int acquire(void *sem)
{
	return fl_shm_sem_acquire(sem);
}

static void release(void *sem)
{
	FL_OK(fl_shm_sem_release(sem));
}

FL_TEST(loop_locks_shm_sem)
{
	static fl_shm_sem sem;
	FL_MEET(.object = &sem, .wait = acquire, .wake = release);
	assert_int_equal(fl_shm_sem_value(&sem), 0);
}

static void reset_event(void *event)
{
	fl_shm_event_reset(event);
}

static int wait_for_event(void *event)
{
	return fl_shm_event_wait(event);
}

static void set_event(void *event)
{
	FL_OK(fl_shm_event_set(event));
}

FL_TEST(loop_locks_shm_event)
{
	static fl_shm_event event;
	FL_MEET(.object = &event, .begin = reset_event, .wait = wait_for_event, .wake = set_event);
}

static void make_barrier(void *barrier)
{
	FL_OK(fl_shm_barrier_init(barrier, 2));
}

static int come_first(void *barrier)
{
	return fl_shm_barrier_wait(barrier) >= 0 ? 0 : -EPIPE;
}

static void come_last(void *barrier)
{
	FL_CHECK(fl_shm_barrier_wait(barrier) >= 0);
}

FL_TEST(loop_locks_shm_barrier)
{
	static fl_shm_barrier barrier;
	FL_MEET(.object = &barrier, .begin = make_barrier, .wait = come_first, .wake = come_last);
}

/* Queues. */
typedef struct store {
	fl_shm *region;
	fl_shm_queue *queue;
} store;
enum { ROUNDS = 20 };

static void make_queue(void *arg)
{
	store *s = arg;
	FL_OK(fl_shm_create(&s->region, 1 << 16));
	FL_OK(
	    fl_shm_queue_create(&s->queue, s->region, &(fl_shm_queue_config){.item_size = sizeof(int), .capacity = 2}));
}

static void free_queue(void *arg)
{
	const store *s = arg;
	FL_CHECK(fl_shm_queue_length(s->queue) == 0);
	fl_shm_queue_free(s->queue);
	fl_shm_free(s->region);
}

static int get_items(void *arg)
{
	const store *s = arg;
	for (int i = 1, item; i <= ROUNDS; i++)
		FL_CHECK(fl_shm_queue_get(s->queue, &item) == 0 && item == i);
	return 0;
}

static int put_items(void *arg)
{
	const store *s = arg;
	for (int i = 1; i <= ROUNDS; i++)
		FL_OK(fl_shm_queue_put(s->queue, &i));
	return 0;
}

static void then_put(void *arg)
{
	(void)put_items(arg);
}

static void then_get(void *arg)
{
	(void)get_items(arg);
}

FL_TEST(loop_locks_shm_queue)
{
	FL_NEEDS(FL_TEST_MEMFD);
	store s;
	FL_MEET(.object = &s, .begin = make_queue, .end = free_queue, .wait = get_items, .wake = then_put);
	FL_MEET(.object = &s, .begin = make_queue, .end = free_queue, .wait = put_items, .wake = then_get);
}

/* Processes. */
static void start_process(void *arg)
{
	const char *const argv[] = {"sleep", "1000", NULL};
	FL_OK(fl_process_start(arg, &(fl_process_config){.program = "sleep", .argv = argv}));
}

static void kill_process(void *arg)
{
	FL_OK(fl_process_kill(*(fl_process **)arg));
}

static int join_process(void *arg)
{
	fl_process_status status = {0, 0};
	int rc = fl_process_join(*(fl_process **)arg, &status);
	FL_CHECK(rc != 0 || (status.code == -1 && status.signal == SIGKILL));
	return rc;
}

static void free_process(void *arg)
{
	fl_process_free(*(fl_process **)arg);
}

FL_TEST(loop_locks_process_join)
{
	fl_process *p = NULL;
	FL_MEET(.object = &p, .hold = start_process, .end = free_process, .wait = join_process, .wake = kill_process);
}

/* Pipes. */
typedef struct ends {
	fl_pipe *a, *b;
	unsigned sent;
} ends;

static void make_pipe(void *arg)
{
	ends *e = arg;
	FL_OK(fl_pipe_create(&e->a, &e->b, NULL));
}

static void free_pipe(void *arg)
{
	const ends *e = arg;
	fl_pipe_free(e->a);
	fl_pipe_free(e->b);
}

static int receive(void *arg)
{
	const ends *e = arg;
	char text[8];
	size_t size = 0;
	int rc = fl_pipe_receive(e->a, text, sizeof text, &size);
	FL_CHECK(rc != 0 || (size == 5 && memcmp(text, "hello", 5) == 0));
	return rc;
}

static void then_send(void *arg)
{
	FL_OK(fl_pipe_send(((const ends *)arg)->b, "hello", 5));
}

FL_TEST(loop_locks_pipe_recv)
{
	ends e;
	FL_MEET(.object = &e, .begin = make_pipe, .end = free_pipe, .wait = receive, .wake = then_send);
}

static const char block[1024];

static void make_full_pipe(void *arg)
{
	ends *e = arg;
	make_pipe(arg);
	for (e->sent = 0; fl_pipe_send_until(e->b, block, sizeof block, FL_NO_WAIT, FL_SHIELDED) == 0; e->sent++)
		;
}

static int send_more(void *arg)
{
	return fl_pipe_send(((const ends *)arg)->b, block, sizeof block);
}

static void then_receive(void *arg)
{
	const ends *e = arg;
	char got[sizeof block];
	size_t size;
	for (unsigned i = 0; i <= e->sent; i++) /* the last one is for the waiter */
		FL_CHECK(fl_pipe_receive(e->a, got, sizeof got, &size) == 0 && size == sizeof got);
}

FL_TEST(loop_locks_pipe_send)
{
	ends e;
	FL_MEET(.object = &e, .begin = make_full_pipe, .end = free_pipe, .wait = send_more, .wake = then_receive);
}

/* Any of several: shared and private objects, a process, a pipe. */
enum { THINGS = 5 };

typedef struct things {
	fl_shm_event shared_event;
	fl_shm_sem shared_sem;
	fl_event event;
	ends ends;
	fl_process *process;
	int which;
} things;

static void make_things(void *arg)
{
	things *t = arg;
	t->shared_event = (fl_shm_event){0};
	t->shared_sem = (fl_shm_sem){0};
	t->event = (fl_event)FL_EVENT_INIT;
	make_pipe(&t->ends);
	start_process(&t->process);
}

static void free_things(void *arg)
{
	things *t = arg;
	free_pipe(&t->ends);
	if (fl_process_is_alive(t->process))
		kill_process(&t->process);
	FL_OK(fl_process_join(t->process, NULL));
	free_process(&t->process);
}

static int wait_for_any(void *arg)
{
	things *t = arg;
	int ready = FL_WAIT_ANY(FL_ON_SHM_EVENT(&t->shared_event), FL_ON_SHM_SEM(&t->shared_sem),
	                        FL_ON_EVENT(&t->event), FL_ON_PIPE(t->ends.a), FL_ON_PROCESS(t->process));
	return ready == t->which ? 0 : -EINVAL;
}

static void make_ready(void *arg)
{
	things *t = arg;
	switch (t->which) {
	case 0:
		set_event(&t->shared_event);
		break;
	case 1:
		release(&t->shared_sem);
		break;
	case 2:
		fl_event_set(&t->event);
		break;
	case 3:
		then_send(&t->ends);
		break;
	default:
		kill_process(&t->process);
	}
}

FL_TEST(loop_locks_shared_wait_any)
{
	static things t;
	for (t.which = 0; t.which < THINGS; t.which++)
		FL_MEET(.object = &t, .begin = make_things, .end = free_things, .wait = wait_for_any,
		        .wake = make_ready);
}
