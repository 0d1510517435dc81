/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A call that can succeed at once does so, also after its deadline and under a requested token
 * (fairlead/defs.h, "Forms"). The tables have every public function whose name ends in _until:
 * check_api.py holds them against the headers. Each call is made on a thread and in a fiber.
 */
#include "fl_in_loop.h"
#include "fl_shm.h"

FL_ALL_NEED(FL_TEST_PROCESSES | FL_TEST_MEMFD)

/* The deadline and the token of the calls under test. */
static fl_time past;
static fl_cancel_token *token;
#define PAST past, token

static bool is_true(void *unused)
{
	return true;
}

FL_TASK_STATIC(past_copy, int, int)
{
	*result = *arg;
	return 0;
}

/* ---- Locks ---- */

static void call_locks(void)
{
	fl_mutex m = FL_MUTEX_INIT;
	fl_rmutex r = FL_RMUTEX_INIT;
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_cond c = FL_COND_INIT;
	FL_OK(fl_mutex_lock_until(&m, PAST));
	FL_OK(fl_cond_wait_for_until(&c, &m, is_true, NULL, PAST));
	fl_mutex_unlock(&m);
	FL_OK(fl_rmutex_lock_until(&r, PAST));
	fl_rmutex_unlock(&r);
	FL_OK(fl_rwlock_read_lock_until(&l, PAST));
	fl_rwlock_read_unlock(&l);
	FL_OK(fl_rwlock_write_lock_until(&l, PAST));
	fl_rwlock_write_unlock(&l);
}

static void call_primitives(void)
{
	fl_sem s = FL_SEM_INIT(3);
	fl_event e = FL_EVENT_INIT;
	fl_latch l = FL_LATCH_INIT(0);
	fl_barrier b = FL_BARRIER_INIT(1);
	fl_once o = FL_ONCE_INIT;
	fl_on on[] = {FL_ON_EVENT(&e)};
	fl_event_set(&e);
	FL_OK(fl_sem_acquire_until(&s, PAST));
	FL_OK(fl_sem_acquire_n_until(&s, 2, PAST));
	FL_OK(fl_event_wait_until(&e, PAST));
	FL_OK(fl_latch_wait_until(&l, PAST));
	FL_OK(fl_barrier_wait_until(&b, PAST));
	for (int i = 0; i < 2; i++)
		FL_OK(fl_once_call_until(&o, fl_test_nothing, NULL, PAST));
	FL_OK(fl_wait_any_until(on, 1, PAST));
}

/* ---- Queues ---- */

static void call_queue_of(const fl_queue_config *config)
{
	int items[2] = {0};
	size_t n = 0;
	fl_queue *q = FL_TEST_QUEUE_OF(sizeof(int), config);
	FL_OK(fl_queue_put_until(q, &(int){1}, PAST));
	FL_OK(fl_queue_get_until(q, items, PAST));
	FL_OK(fl_queue_put_many_until(q, (int[]){1, 2}, 2, &n, PAST));
	FL_CHECK(n == 2);
	FL_OK(fl_queue_get_many_until(q, items, 2, &n, PAST));
	FL_CHECK(n == 2 && items[0] + items[1] == 3);
	for (int i = 0; i < 3; i++)
		fl_queue_task_done(q);
	FL_OK(fl_queue_join_until(q, PAST));
	fl_select_case put[] = {FL_PUT(q, items)}, get[] = {FL_GET(q, items)};
	FL_OK(fl_select_until(put, 1, PAST));
	FL_OK(fl_select_until(get, 1, PAST));
	fl_queue_free(q);
}

static void call_queues(void)
{
	const fl_queue_config kinds[] = {
	    {.capacity = 2},
	    {.capacity = 2, .order = FL_LIFO},
	    {.capacity = 2, .order = FL_PRIORITY, .compare = fl_test_by_value},
	    {.capacity = 2, .when_full = FL_OVERWRITE},
	    {.capacity = 2, .one_producer = true, .one_consumer = true},
	    {.capacity = FL_UNBOUNDED},
	};
	FL_EACH (i, kinds)
		call_queue_of(&kinds[i]);
}

/* ---- Tasks, threads, timers ---- */

static void call_futures(void)
{
	fl_as_completed *all = NULL;
	fl_imap *it = NULL;
	fl_group g = FL_GROUP_INIT(NULL);
	int result = 0;
	size_t i = 0;
	fl_executor *e = fl_test_executor(fl_sequential_executor_create, NULL); /* whose submits run the tasks */
	g.executor_ = e;
	fl_future *f = FL_SUBMITTED(past_copy, e, 5);
	FL_OK(fl_future_wait_until(f, PAST));
	FL_OK(fl_future_get_until(f, &result, sizeof result, PAST));
	FL_OK(fl_as_completed_create(&all, &f, 1));
	FL_OK(fl_as_completed_next_until(all, &i, PAST));
	fl_as_completed_free(all);
	fl_future_free(f);
	FL_OK(past_copy_group_submit(&g, 6, &result));
	FL_OK(fl_group_join_until(&g, PAST));
	FL_OK(fl_imap_create(&it, e, &past_copy, (int[]){7}, 1, NULL));
	FL_OK(fl_imap_next_until(it, &i, &result, PAST));
	FL_CHECK(result == 7);
	fl_imap_free(it);
	FL_OK(fl_executor_wait_idle_until(e, PAST));
	FL_OK(fl_executor_join_until(e, PAST));
	fl_executor_free(e);
}

static void call_thread(void)
{
	fl_thread *t;
	fl_timer timer = FL_TIMER_INIT;
	int result = -1;
	fl_test_go(&t, fl_test_nothing, NULL);
	FL_WAIT_FOR(!fl_thread_is_alive(t));
	FL_OK(fl_thread_join_until(t, &result, PAST));
	FL_CHECK(result == 0);
	FL_OK(fl_timer_join_until(&timer, PAST));
}

/* ---- Shared memory ---- */

static void call_shm(void)
{
	fl_shm *region = NULL;
	fl_shm_queue *q = NULL, *frames = NULL;
	struct {
		fl_shm_mutex m;
		fl_shm_cond c;
		fl_shm_sem s;
		fl_shm_event e;
		fl_shm_barrier b;
	} * in;
	int items[2] = {0};
	char frame[8];
	size_t n = 0;
	FL_OK(fl_shm_create(&region, (size_t)1 << 20));
	FL_CHECK((in = fl_shm_block_alloc(region, sizeof *in)) != NULL);
	fl_shm_mutex_init(&in->m);
	fl_shm_cond_init(&in->c);
	fl_shm_event_init(&in->e);
	FL_OK(fl_shm_sem_init(&in->s, 1));
	FL_OK(fl_shm_barrier_init(&in->b, 1));
	FL_OK(fl_shm_mutex_lock_until(&in->m, PAST));
	FL_OK(fl_shm_cond_wait_for_until(&in->c, &in->m, is_true, NULL, PAST));
	fl_shm_mutex_unlock(&in->m);
	FL_OK(fl_shm_sem_acquire_until(&in->s, PAST));
	FL_OK(fl_shm_event_set(&in->e));
	FL_OK(fl_shm_event_wait_until(&in->e, PAST));
	FL_OK(fl_shm_barrier_wait_until(&in->b, PAST));
	FL_OK(fl_shm_queue_create(&q, region, &(fl_shm_queue_config){.item_size = sizeof(int), .capacity = 4}));
	FL_OK(fl_shm_queue_put_until(q, &(int){1}, PAST));
	FL_OK(fl_shm_queue_get_until(q, items, PAST));
	FL_OK(fl_shm_queue_put_many_until(q, (int[]){1, 2}, 2, &n, PAST));
	FL_OK(fl_shm_queue_get_many_until(q, items, 2, &n, PAST));
	FL_CHECK(n == 2 && items[1] == 2);
	for (int i = 0; i < 3; i++)
		FL_OK(fl_shm_queue_task_done(q));
	FL_OK(fl_shm_queue_join_until(q, PAST));
	FL_OK(fl_shm_queue_create(&frames, region, &(fl_shm_queue_config){.frame_bytes = 256}));
	FL_OK(fl_shm_queue_put_frame_until(frames, "frame", 6, PAST));
	FL_OK(fl_shm_queue_get_frame_until(frames, frame, sizeof frame, &n, PAST));
	FL_CHECK(n == 6 && strcmp(frame, "frame") == 0);
	fl_shm_queue_destroy(frames);
	fl_shm_queue_destroy(q);
	fl_shm_block_free(region, in);
	fl_shm_free(region);
}

/* ---- Processes, pipes, signals ---- */

static void call_process(void)
{
	fl_process *p = NULL;
	fl_process_io io = {0};
	fl_process_status status;
	FL_OK(fl_process_start(&p, &(fl_process_config){.program = "true"}));
	FL_WAIT_FOR(!fl_process_is_alive(p));
	FL_OK(fl_process_join_until(p, &status, PAST));
	fl_process_free(p);
	FL_OK(fl_process_start(&p, &(fl_process_config){.program = "true"}));
	FL_WAIT_FOR(!fl_process_is_alive(p));
	FL_OK(fl_process_communicate_until(p, &io, &status, PAST));
	fl_process_free(p);
}

static void call_pipe(void)
{
	char got[4];
	size_t size;
	unsigned n = 0;
	fl_pipe *a = NULL, *b = NULL;
	FL_OK(fl_pipe_create(&a, &b, NULL));
	FL_OK(fl_pipe_send_until(a, "abc", 4, PAST));
	FL_OK(fl_pipe_receive_until(b, got, sizeof got, &size, PAST));
	FL_OK(fl_pipe_send_fds_until(a, "abc", 4, NULL, 0, PAST));
	FL_OK(fl_pipe_receive_fds_until(b, got, sizeof got, &size, NULL, &n, PAST));
	FL_CHECK(size == 4 && strcmp(got, "abc") == 0);
	fl_pipe_free(a);
	fl_pipe_free(b);
}

static void call_fd(void)
{
	char byte;
	int fds[2];
	FL_OK(pipe(fds));
	FL_OK(fl_fd_wait_until(fds[1], FL_FD_OUT, PAST));
	FL_RC(fl_fd_write_some_until(fds[1], "x", 1, PAST), 1);
	FL_RC(fl_fd_read_some_until(fds[0], &byte, 1, PAST), 1);
	fl_test_close_two(fds);
}

static void call_signals(void)
{
	fl_signals *s = NULL;
	FL_OK(fl_signals_create(&s, (int[]){SIGUSR2}, 1));
	FL_OK(raise(SIGUSR2));
	FL_RC(fl_signals_wait_until(s, PAST), SIGUSR2);
	fl_signals_free(s);
}

static int connects(void *path)
{
	fl_pipe *pipe = NULL;
	const int rc = fl_endpoint_connect_until(NULL, &pipe, path, NULL, FL_FOREVER, FL_SHIELDED);
	fl_pipe_free(pipe);
	return rc;
}

static void call_endpoint(void)
{
	char path[] = "@fairlead-past-deadline-0000000000";
	fl_endpoint *o = NULL;
	fl_pipe *pipe = NULL;
	fl_thread *client;
	FL_TEXT(path, "@fairlead-past-deadline-%d", (int)getpid());
	FL_OK(fl_endpoint_create(&o, path, NULL));
	fl_test_go(&client, connects, path);
	FL_OK(fl_fd_wait_until(fl_endpoint_fd(o), FL_FD_IN, FL_FOREVER, FL_SHIELDED));
	FL_OK(fl_endpoint_accept_until(o, &pipe, PAST));
	fl_test_end(client);
	fl_pipe_free(pipe);
	fl_endpoint_free(o);
}

/* ---- What only fibers may call ---- */

static void call_fibers(void)
{
	fl_fiber *f[] = {fl_test_start(fl_test_nothing, NULL), fl_test_start(fl_test_nothing, NULL)};
	int result = -1;
	fl_test_settle();
	FL_EACH (i, f)
		FL_OK(fl_fiber_join_until(f[i], &result, PAST));
	FL_CHECK(result == 0);
}

static void call_streams(void)
{
	int fds[2], passed[1] = {-1};
	unsigned n = 1;
	char got[16];
	char ab[] = "ab", c[] = "c\n";
	struct iovec parts[] = {{ab, 2}, {c, 2}};
	FL_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	fl_stream *a = NULL, *b = NULL;
	FL_OK(fl_stream_from_fd(&a, fds[0]));
	FL_OK(fl_stream_from_fd(&b, fds[1]));
	FL_OK(fl_stream_write_until(a, "line\n", 5, PAST));
	FL_OK(fl_stream_writev_until(a, parts, 2, PAST));
	fl_test_look();
	FL_RC(fl_stream_read_line_until(b, got, sizeof got, PAST), 5);
	FL_RC(fl_stream_read_delimited_until(b, got, sizeof got, "b", 1, PAST), 2);
	FL_RC(fl_stream_read_exactly_until(b, got, 1, PAST), 1);
	FL_RC(fl_stream_read_some_until(b, got, sizeof got, PAST), 1);
	FL_RC(fl_stream_try_read_some(b, got, sizeof got), -EAGAIN);
	FL_OK(fl_stream_write_until(a, "d", 1, PAST));
	FL_RC(fl_stream_read_some_until(b, got, sizeof got, PAST), 1); /* the loop has not seen the byte yet */
	FL_OK(fl_stream_send_fds_until(a, "x", 1, &fds[0], 1, PAST));
	fl_test_look();
	FL_RC(fl_stream_receive_fds_until(b, got, sizeof got, passed, &n, PAST), 1);
	FL_OK(close(passed[0]));
	fl_stream_free(a);
	fl_stream_free(b);
}

static void call_net(void)
{
	char path[] = "@fairlead-past-deadline-u-0000000000";
	fl_address address;
	fl_listener *l = NULL;
	fl_stream *a = NULL, *b = NULL;
	FL_RC(fl_net_resolve_until("127.0.0.1", 0, &address, 1, PAST), 1);
	FL_TEXT(path, "@fairlead-past-deadline-u-%d", (int)getpid());
	FL_OK(fl_listener_open_unix(&l, path, NULL));
	FL_OK(fl_stream_connect_unix_until(&a, path, PAST));
	fl_test_look();
	FL_OK(fl_listener_accept_until(l, &b, PAST));
	fl_stream_free(a);
	fl_stream_free(b);
	fl_listener_free(l);
}

static void call_datagrams(void)
{
	fl_address to;
	char got[4];
	fl_datagram *a = NULL, *b = NULL;
	char out[] = "abc";
	fl_datagram_message message = {.data = out, .size = 4}, in = {.data = got, .size = sizeof got};
	FL_OK(fl_datagram_open_udp(&a, "127.0.0.1", 0, NULL));
	FL_OK(fl_datagram_open_udp(&b, "127.0.0.1", 0, NULL));
	FL_OK(fl_address_ip_until(&to, "127.0.0.1", fl_datagram_port(b), PAST));
	FL_OK(fl_datagram_send_to_until(a, "abc", 4, &to, PAST));
	fl_test_look();
	FL_RC(fl_datagram_receive_until(b, got, sizeof got, NULL, PAST), 4);
	FL_OK(fl_datagram_connect(a, &to));
	FL_OK(fl_datagram_send_to_until(a, "abc", 4, NULL, PAST));
	FL_OK(fl_datagram_send_many_until(a, &message, 1, NULL, PAST));
	fl_test_look();
	for (int i = 0; i < 2; i++)
		FL_RC(fl_datagram_receive_many_until(b, &in, 1, PAST), 1);
	FL_CHECK(in.received == 4 && strcmp(got, "abc") == 0);
	fl_datagram_free(a);
	fl_datagram_free(b);
}

typedef void call(void);
static call *const anywhere[] = {call_locks,   call_primitives, call_queues, call_futures,  call_thread, call_shm,
                                 call_process, call_pipe,       call_fd,     call_endpoint, call_signals};
static call *const in_fibers[] = {call_fibers, call_streams, call_net, call_datagrams};

#define CALL_EACH(calls) call_each((calls), sizeof(calls) / sizeof((calls)[0]))

static void call_each(call *const calls[], size_t n)
{
	const struct {
		fl_time deadline;
		fl_cancel_token *cancel;
	} ends[] = {{{1}, FL_SHIELDED},
	            {FL_NO_WAIT, fl_test_requested},
	            {fl_after(-FL_S(1)), NULL},
	            {FL_FOREVER, fl_test_requested}};
	FL_EACH (k, ends) {
		past = ends[k].deadline;
		token = ends[k].cancel;
		for (size_t i = 0; i < n; i++)
			calls[i]();
	}
}

FL_TEST(past_deadline_lets_a_call_succeed_at_once)
{
	CALL_EACH(anywhere);
}

FL_LOOP_TEST(past_deadline_lets_a_fiber_succeed_at_once)
{
	CALL_EACH(anywhere);
	CALL_EACH(in_fibers);
}

/* What can never be had at once: the call waits in any case, or needs another thread or process. */
FL_LOOP_TEST(past_deadline_ends_what_must_wait)
{
	char path[] = "@fairlead-past-deadline-e-0000000000";
	fl_mutex m = FL_MUTEX_INIT;
	fl_cond c = FL_COND_INIT;
	fl_shm *region = NULL;
	struct {
		fl_shm_mutex m;
		fl_shm_cond c;
	} * in;
	fl_endpoint *o = NULL;
	fl_pipe *pipe = NULL;
	fl_stream *s = NULL;
	past = FL_NO_WAIT;
	token = FL_SHIELDED;
	FL_OK(fl_sleep_until(PAST)); /* the sleep is over */
	fl_mutex_lock(&m);
	FL_RC(fl_cond_wait_until(&c, &m, PAST), -ETIMEDOUT);
	fl_mutex_unlock(&m);
	FL_OK(fl_shm_create(&region, (size_t)1 << 20));
	FL_CHECK((in = fl_shm_block_alloc(region, sizeof *in)) != NULL);
	fl_shm_mutex_init(&in->m);
	fl_shm_cond_init(&in->c);
	FL_OK(fl_shm_mutex_try_lock(&in->m));
	FL_RC(fl_shm_cond_wait_until(&in->c, &in->m, PAST), -ETIMEDOUT);
	fl_shm_mutex_unlock(&in->m);
	fl_shm_free(region);
	FL_RC(fl_blocking_call_until(fl_test_nothing, NULL, NULL, PAST), -ETIMEDOUT);
	FL_RC(fl_process_run_until(
		  &(fl_process_config){.program = "sleep", .argv = (const char *const[]){"sleep", "3600", NULL}}, NULL,
		  NULL, PAST),
	      -ETIMEDOUT);
	FL_TEXT(path, "@fairlead-past-deadline-e-%d", (int)getpid());
	FL_OK(fl_endpoint_create(&o, path, NULL));
	FL_RC(fl_endpoint_connect_until(NULL, &pipe, path, NULL, PAST), -ETIMEDOUT);
	fl_endpoint_free(o);
	/* a handshake on another host; here the system may finish it at once */
	fl_listener *l = NULL;
	FL_OK(fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL));
	const int rc = fl_stream_connect_tcp_until(&s, "127.0.0.1", fl_listener_port(l), PAST);
	FL_OK_OR(rc, -ETIMEDOUT);
	fl_stream_free(rc == 0 ? s : NULL);
	fl_listener_free(l);
}
