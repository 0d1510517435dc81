/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker process. Its main thread takes the orders of its lane and runs their tasks one after
 * the other. Their own submits run at once, as calls, on the worker's executor `nested`.
 *
 * Requests to stop. A second thread, the listener, sleeps on `asks`. If the current order was asked
 * to stop, the listener requests `token`. One token serves all orders; under `lock`, `token` and
 * `current` change together. The main thread makes an order current under the lock and only then
 * checks whether it was asked. If the listener checked before that, its unlock made the request
 * visible to the main thread. If the listener checks later, it finds the order current. A request
 * that comes after its order's end affects a token that begin() replaces for the next order.
 *
 * The worker trusts its parent, but checks every offset before use: a bug of Fairlead should yield
 * a message.
 */
#include "worker.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../exec/executor.h"
#include "../process/fd_sys.h"
#include "../process/identity.h"
#include "../process/packet.h"
#include "../process/request.h"
#include "../shm/shm_os.h"
#include "../wait/cancel.h"
#include <errno.h>
#include <fairlead/task.h>
#include <fairlead/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A type after its lookup. */
struct known {
	uint64_t id;
	const fl_task_type *type; /* NULL: none yet */
	uint32_t check;
};

enum { KNOWN_TYPES = 64 };

static struct worker {
	struct fl__lane_worker lane;
	int channel, bell;
	unsigned n_regions;
	fl_shm *regions[FL_REGIONS_MAX];
	fl_executor *nested;
	struct fl__run frame;
	struct known known[KNOWN_TYPES];
	fl_mutex lock;
	uint32_t current; /* the order of `token`; guarded by `lock` */
	fl_cancel_token token;
} worker; /* static: the listener may use it after the task has returned */

/* The current order. */
struct job {
	const struct fl__order *order;
	const fl_task_type *type;
	size_t arg_size, result_size; /* of all elements */
	const char *arg;              /* NULL: of size 0 */
	char *result;
	void *arg_memory, *result_memory; /* mapped if apart; else NULL */
	int result_fd;
	uint32_t flags, done; /* of the reply */
};

static unsigned slot_of(const struct worker *w)
{
	return w->lane.next % FL__LANE_DEPTH;
}

/* Puts a message into the reply. Returns `error`. */
static int FL_PRINTF(4, 5) say(struct worker *w, struct job *job, int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(w->lane.replies->message[slot_of(w)], FL__LANE_MESSAGE, format, args);
	va_end(args);
	job->flags |= FL__REPLY_MESSAGE;
	return error;
}

static int say_what_failed(struct worker *w, struct job *job, int error, const char *what)
{
	return say(w, job, error, "%s: %s", what, fl_error_text(error));
}

/* Types. */

static const struct known *know(struct worker *w, uint64_t id)
{
	struct known *k = &w->known[id % KNOWN_TYPES];
	if (k->type && k->id == id)
		return k;
	const fl_task_type *type = fl__task_find_id(id);
	if (!type)
		return NULL;
	struct fl__task_identity identity;
	fl__task_identify(type, &identity);
	*k = (struct known){id, type, fl__task_check(&identity)};
	return k;
}

static int find_type(struct worker *w, struct job *job)
{
	const struct fl__order *order = job->order;
	const struct known *k = know(w, order->task);
	if (!k)
		return say(w, job, -ENOENT,
		           "the task (id %016llx) is not registered in the worker, or another has its name",
		           (unsigned long long)order->task);
	if (k->check != order->check)
		return say(w, job, -EPROTO, "task %s of the worker is of another version or build", k->type->name);
	job->type = k->type;
	uint64_t arg_size = (uint64_t)order->count * k->type->arg_size;
	uint64_t result_size = (uint64_t)order->count * k->type->result_size;
	if (arg_size > FL_TASK_SIZE_MAX || result_size > FL_TASK_SIZE_MAX)
		return say(w, job, -EPROTO, "an order of %u tasks %s is too large", order->count, k->type->name);
	job->arg_size = (size_t)arg_size;
	job->result_size = (size_t)result_size;
	return 0;
}

/* Arguments and results. */

static bool is_in_arena(uint32_t at, size_t size, size_t align)
{
	return at <= FL__LANE_ARENA && size <= FL__LANE_ARENA - at && at % align == 0;
}

/* Receives the argument of the current order. Closes the arguments of earlier orders. */
static int receive_arg(const struct worker *w, uint64_t *size, int *fd)
{
	for (;;) {
		struct fl__apart head;
		size_t received;
		unsigned n = 1;
		int rc = fl__packet_recv(w->channel, &head, sizeof head, &received, fd, &n, 0);
		if (rc != 0)
			return rc == -ETIMEDOUT ? -EBADMSG : rc; /* it should be there */
		if (n == 1 && received == sizeof head && head.magic == FL__APART_MAGIC && head.seq == w->lane.next) {
			*size = head.size;
			return 0;
		}
		fl__fds_close(fd, n);
	}
}

static int map_arg(struct job *job, uint64_t size, int fd)
{
	int64_t there;
	int rc = fl__fd_sys.sealed_size(fd, &there);
	if (rc != 0 || size != job->arg_size || there != (int64_t)size)
		return -EBADMSG;
	rc = fl__shm_os.map_sealed(fd, job->arg_size, &job->arg_memory);
	job->arg = job->arg_memory;
	return rc;
}

static int take_arg_apart(const struct worker *w, struct job *job)
{
	uint64_t size;
	int fd, rc = receive_arg(w, &size, &fd);
	if (rc != 0)
		return rc;
	rc = map_arg(job, size, fd);
	fl__fds_close(&fd, 1);
	return rc;
}

/* Receives and closes the argument of an order that is not run, to free its memory. */
static void drop_arg(const struct worker *w, const struct fl__order *order)
{
	uint64_t size;
	int fd;
	if ((order->flags & FL__ORDER_ARG_APART) && receive_arg(w, &size, &fd) == 0)
		fl__fds_close(&fd, 1);
}

static int take_arg(struct worker *w, struct job *job)
{
	const struct fl__order *order = job->order;
	const enum fl__place place = fl__place_of(job->arg_size, job->type->arg_align);
	const bool apart = order->flags & FL__ORDER_ARG_APART;
	if (apart != (place == FL__PLACE_APART))
		return say_what_failed(w, job, -EPROTO, "the argument is where none should be");
	if (apart) {
		int rc = take_arg_apart(w, job);
		return rc == 0 ? 0 : say_what_failed(w, job, rc, "the argument does not arrive");
	}
	if (place == FL__PLACE_ARENA && !is_in_arena(order->arg, job->arg_size, job->type->arg_align))
		return say_what_failed(w, job, -EPROTO, "the argument is outside of its arena");
	if (job->arg_size > 0)
		job->arg = place == FL__PLACE_SLOT ? (const char *)order->small
		                                   : (const char *)w->lane.orders->arena + order->arg;
	return 0;
}

/* On success, all of the memory is allocated: no access raises SIGBUS. */
static int make_memory(int fd, size_t size)
{
	int rc = fl__shm_os.resize(fd, size);
	if (rc != 0)
		return rc;
	do
		rc = fl__shm_os.fill(fd, 0, size);
	while (rc == -EINTR); /* also after a stop of the process */
	return rc == -ENOSPC ? -ENOMEM : rc;
}

static int make_result_apart(struct job *job)
{
	if (job->result_size > fl__shm_os.largest_file())
		return -EFBIG; /* the call would raise SIGXFSZ */
	int fd = fl__fd_sys.memory();
	if (fd < 0)
		return fd;
	int rc = make_memory(fd, job->result_size);
	if (rc == 0)
		rc = fl__shm_os.map(fd, job->result_size, true, &job->result_memory);
	if (rc != 0) {
		fl__fds_close(&fd, 1);
		return rc;
	}
	job->result = job->result_memory;
	job->result_fd = fd;
	return 0;
}

/* Zeroed. */
static int make_result(struct worker *w, struct job *job)
{
	const struct fl__order *order = job->order;
	const enum fl__place place = fl__place_of(job->result_size, job->type->result_align);
	const bool apart = order->flags & FL__ORDER_RESULT_APART;
	if (apart != (place == FL__PLACE_APART))
		return say_what_failed(w, job, -EPROTO, "the result is to be where none should be");
	if (apart) {
		int rc = make_result_apart(job);
		return rc == 0 ? 0 : say_what_failed(w, job, rc, "no memory for the result");
	}
	if (job->result_size == 0)
		return 0;
	if (place == FL__PLACE_SLOT) {
		struct fl__reply *reply = &w->lane.replies->reply[slot_of(w)];
		/* All of it: for a constant size, memset() is no call. */
		memset(reply->small, 0, sizeof reply->small);
		job->result = (char *)reply->small;
		return 0;
	}
	if (!is_in_arena(order->result, job->result_size, job->type->result_align))
		return say_what_failed(w, job, -EPROTO, "the result is to be outside of its arena");
	job->result = (char *)w->lane.replies->arena + order->result;
	memset(job->result, 0, job->result_size);
	return 0;
}

static int send_result(const struct worker *w, const struct job *job)
{
	const struct fl__apart head = {FL__APART_MAGIC, w->lane.next, job->result_size};
	int rc = fl__fd_sys.seal(job->result_fd);
	return rc != 0 ? rc : fl__packet_send(w->channel, &head, sizeof head, &job->result_fd, 1, FL_FOREVER);
}

/* Unmaps memory and sends a result that is apart. Returns the order's error. */
static int give_back(struct worker *w, struct job *job, int error)
{
	if (job->arg_memory)
		fl__shm_os.unmap(job->arg_memory, job->arg_size);
	if (!job->result_memory)
		return error;
	fl__shm_os.unmap(job->result_memory, job->result_size); /* else the seal fails */
	if (error == 0 || job->order->count > 1 || (job->flags & FL__REPLY_KEPT)) {
		int rc = send_result(w, job);
		if (rc == 0) {
			job->flags |= FL__REPLY_APART;
		} else {
			job->flags &= ~(uint32_t)FL__REPLY_KEPT;
			job->done = 0; /* no element counts without its result */
		}
		if (rc != 0 && error == 0)
			error = say_what_failed(w, job, rc, "the result cannot be sent");
	}
	fl__fds_close(&job->result_fd, 1);
	return error;
}

/* Running. */

static int run_one(struct worker *w, struct job *job)
{
	const fl_task_type *type = job->type;
	const char *arg = job->arg ? job->arg + job->done * type->arg_size : NULL;
	char *result = job->result ? job->result + job->done * type->result_size : NULL;
	fl_task_ctx ctx = {.token = &w->token, .regions = w->regions, .n_regions = w->n_regions};
	int error = fl__task_call(type, arg, result, &ctx);
	if (ctx.message && error != 0)
		(void)say(w, job, error, "%s", ctx.message);
	if (ctx.keeps_result && error != 0)
		job->flags |= FL__REPLY_KEPT;
	fl__message_free(ctx.message);
	/* Panics, as at the end of any task that leaves a child. */
	if (w->token.child_)
		fl_cancel_token_destroy(&w->token);
	return error;
}

static int run_all(struct worker *w, struct job *job)
{
	int error = 0;
	while (error == 0 && job->done < job->order->count) {
		if (job->done > 0 && fl_cancel_token_is_requested(&w->token))
			return -ECANCELED;
		error = run_one(w, job);
		if (error == 0 && ++job->done < job->order->count)
			fl__lane_advance(&w->lane, job->done);
	}
	return error;
}

/* Makes an order current. False: it shall not run any more. */
static bool begin(struct worker *w, const struct fl__order *order)
{
	int64_t deadline = order->flags & FL__ORDER_DEADLINE ? w->lane.orders->deadline[slot_of(w)] : FL_FOREVER;
	FL_LOCKED(&w->lock);
	w->current = w->lane.next;
	/* A token without deadline and request is as good as new. */
	if (deadline != FL_FOREVER || fl_cancel_token_deadline(&w->token) != FL_FOREVER ||
	    fl_cancel_token_is_requested(&w->token)) {
		fl_cancel_token_destroy(&w->token);
		fl_cancel_token_init(&w->token, FL_SHIELDED, deadline);
	}
	return !fl__lane_is_asked(&w->lane) && !fl__is_past(deadline);
}

/* False: the worker shall exit. */
static bool serve(struct worker *w, const struct fl__order *order)
{
	const bool initializes = order->flags & FL__ORDER_INITIALIZE;
	if (!begin(w, order)) {
		drop_arg(w, order);
		fl__lane_end(&w->lane, 0, FL__REPLY_SKIPPED, 0);
		return true;
	}
	struct job job = {.order = order};
	int error = find_type(w, &job);
	if (error != 0)
		drop_arg(w, order);
	else
		error = take_arg(w, &job);
	if (error == 0)
		error = make_result(w, &job);
	if (error == 0) {
		if (order->flags & FL__ORDER_TIMED) /* relaxed: a number by itself */
			fl__store_relaxed(&w->lane.replies->reply[slot_of(w)].began, fl__sys.now());
		error = run_all(w, &job);
	}
	error = give_back(w, &job, error);
	fl__lane_end(&w->lane, error, job.flags, job.done);
	/* After a failed initializer, orders that were posted behind it do not run here. */
	return error == 0 || !initializes;
}

/* Requests the token if the current order was asked to stop. */
static void pass_request_on(struct worker *w)
{
	struct fl__cancel_calls calls = {NULL, NULL};
	fl_mutex_lock(&w->lock);
	const struct fl__lane_worker at = {.orders = w->lane.orders, .next = w->current};
	if (fl__lane_is_asked(&at))
		fl__cancel_request_begin(&w->token, &calls);
	fl_mutex_unlock(&w->lock);
	fl__cancel_call(&calls);
}

static int listen_to_requests(void *arg)
{
	struct worker *w = arg;
	for (;;) {
		/* acquire: pairs with fl__lane_ask() */
		uint32_t asks = fl__load_acquire(&w->lane.orders->asks);
		pass_request_on(w);
		fl__lane_listen(&w->lane, asks);
	}
	return 0; /* never: it ends with the process */
}

/* Beginning. */

/*
 * If a task has closed the doorbell, as one does that closes all descriptors that it does not know,
 * the worker exits, and the parent learns of its death.
 */
static void ring(void *arg)
{
	const struct worker *w = arg;
	const uint64_t one = 1;
	if (write(w->bell, &one, sizeof one) < 0 && errno != EAGAIN) /* EAGAIN: already rung */
		_exit(1);
}

static void on_revoked(void *arg, const struct fl__order *order)
{
	drop_arg(arg, order);
}

/* Maps a file of exactly that size: no access raises SIGBUS. */
static int map_exactly(int fd, size_t size, bool writable, void **memory)
{
	uint64_t there;
	int rc = fl__shm_os.size(fd, &there);
	if (rc != 0)
		return rc;
	return there == size ? fl__shm_os.map(fd, size, writable, memory) : -EBADMSG;
}

static int map_lane(struct worker *w, const char **problem)
{
	void *orders, *replies;
	*problem = "its replies cannot be mapped";
	int rc = map_exactly(fl_process_fd(FL__WORKER_REPLIES), sizeof(struct fl__replies), true, &replies);
	if (rc != 0)
		return rc;
	w->lane.replies = replies;
	*problem = "its orders cannot be mapped";
	rc = map_exactly(fl_process_fd(FL__WORKER_ORDERS), sizeof(struct fl__orders), false, &orders);
	if (rc != 0)
		return rc;
	fl__lane_worker_init(&w->lane, orders, replies);
	w->lane.ring = ring;
	w->lane.revoked = on_revoked;
	w->lane.arg = w;
	*problem = "its orders are of another version";
	return w->lane.orders->magic == FL__LANE_MAGIC && w->lane.orders->size == sizeof(struct fl__orders) ? 0
	                                                                                                    : -EPROTO;
}

static int attach_regions(struct worker *w, uint32_t n, const char **problem)
{
	*problem = "a region cannot be attached";
	for (w->n_regions = 0; w->n_regions < n; w->n_regions++) {
		int rc = fl_shm_attach(&w->regions[w->n_regions], fl_process_fd(FL__WORKER_FDS + w->n_regions));
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* The stack's lower end for submits. The stack grows to the system's limit, but at most to MOST. */
static int find_stack_low(uintptr_t *low)
{
	enum { MOST = 256 << 20, MARGIN = 256 << 10 };
	pthread_attr_t attr;
	void *bottom;
	size_t size;
	int rc = -pthread_getattr_np(pthread_self(), &attr);
	if (rc != 0)
		return rc;
	rc = -pthread_attr_getstack(&attr, &bottom, &size);
	(void)pthread_attr_destroy(&attr);
	uintptr_t top = (uintptr_t)bottom + size;
	size = size < MOST ? size : MOST;
	*low = top - size + (size / 2 < MARGIN ? size / 2 : MARGIN);
	return rc;
}

static int make_nested(struct worker *w, const char **problem)
{
	uintptr_t low = 0;
	*problem = "its stack cannot be found";
	int rc = find_stack_low(&low);
	if (rc != 0)
		return rc;
	*problem = "no memory for its executor";
	const fl_executor_config config = {.regions = w->regions, .n_regions = w->n_regions};
	rc = fl_sequential_executor_create(&w->nested, &config);
	if (rc != 0)
		return rc;
	w->nested->stack_low = low;
	w->nested->lasts = true;
	return 0;
}

static int start_listener(struct worker *w, const char **problem)
{
	fl_thread listener;
	*problem = "no thread to listen for requests";
	w->current = w->lane.next;
	int rc = fl_thread_start(&listener, listen_to_requests, w,
	                         &(fl_thread_config){.name = "listener", .block_signals = true});
	return rc != 0 ? rc : fl_thread_detach(&listener);
}

static int set_up(struct worker *w, const struct fl__worker_start *start, const char **problem)
{
	*problem = "it was not handed what it needs";
	if (start->n_regions > FL_REGIONS_MAX || fl_process_fd_count() != FL__WORKER_FDS + start->n_regions)
		return -EBADMSG;
	w->channel = fl_process_fd(FL__WORKER_CHANNEL);
	w->bell = fl_process_fd(FL__WORKER_BELL);
	int rc = map_lane(w, problem);
	if (rc == 0)
		rc = attach_regions(w, start->n_regions, problem);
	if (rc == 0)
		rc = make_nested(w, problem);
	return rc != 0 ? rc : start_listener(w, problem);
}

/*
 * Tasks see the process as they see a thread: its name, and no descriptors that were handed over.
 */
static void hide_start(const struct worker *w)
{
	for (unsigned i = 0; i < fl_process_fd_count(); i++) {
		int fd = fl_process_fd(i);
		if (fd != w->channel && fd != w->bell)
			fl__fds_close(&fd, 1); /* is mapped or attached */
	}
	fl__ctx_get()->name = fl_process_current_name();
	fl__process_is(fl_process_current_name(), 0);
}

/* Called if a task ends the main thread (pthread_exit): the process would live on. */
static void end_process(void *unused)
{
	(void)unused;
	_exit(1);
}

/* A task that closed its executor closed it only for itself. */
static void reopen(fl_executor *e)
{
	FL_LOCKED(&e->lock);
	e->closed = false;
}

static void serve_all(struct worker *w)
{
	const struct fl__order *order;
	fl__run_enter(&w->frame, w->nested);
	w->frame.active = true; /* only tasks ask for the current executor here */
	pthread_cleanup_push(end_process, NULL);
	do {
		if (w->nested->closed)
			reopen(w->nested);
		order = fl__lane_take(&w->lane);
	} while (!(order->flags & FL__ORDER_LEAVE) && serve(w, order));
	pthread_cleanup_pop(0);
	fl__run_leave(&w->frame);
}

FL__TASK_DEFINE(fl__worker_task, "fl__process_worker", struct fl__worker_start, void, )
{
	struct worker *w = &worker;
	sigset_t all;
	const char *problem;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, NULL);
	int rc = set_up(w, arg, &problem);
	struct fl__replies *replies = w->lane.replies;
	if (rc != 0 && replies)
		replies->error = rc;
	/* release: publishes `error`, which no code of the executor reads */
	if (replies)
		fl__store_release(&replies->state, rc == 0 ? FL__LANE_READY : FL__LANE_UNFIT);
	if (rc != 0)
		return fl_task_fail(ctx, rc, "%s: %s", problem, fl_error_text(rc));
	const struct fl__apart ready = {FL__READY_MAGIC, 0, 0};
	/* There is room: it is the first packet. */
	(void)!fl__packet_send(w->channel, &ready, sizeof ready, NULL, 0, 0);
	hide_start(w);
	serve_all(w);
	/* Frees nothing: threads that tasks started may use it until the process has ended. */
	return 0;
}
