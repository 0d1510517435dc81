/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's shared memory, its start, and what becomes of its tasks when it dies.
 *
 * No third process has the memory. The parent maps the submission ring before it seals the ring
 * against writing: the worker cannot write. Neither memory can shrink, and all is allocated: no
 * access raises SIGBUS.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../process/fd_sys.h"
#include "../process/os.h"
#include "../process/packet.h"
#include "../process/request.h"
#include "../shm/shm_os.h"
#include "crew_sys.h"
#include "process_pool.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Memory. */

static int fill(int fd, size_t size, int seals)
{
	int rc = fl__shm_os.resize(fd, size);
	do
		rc = rc == 0 || rc == -EINTR ? fl__shm_os.fill(fd, 0, size) : rc;
	while (rc == -EINTR);
	if (rc == -ENOSPC)
		rc = -ENOMEM;
	return rc == 0 ? fl__shm_os.add_seals(fd, seals) : rc;
}

/* Makes shared memory and maps it here. Returns its descriptor. */
static int make_memory(size_t size, int seals, void **memory)
{
	*memory = NULL;
	int fd = fl__above(fl__shm_os.memory());
	if (fd < 0)
		return fd;
	int rc = fill(fd, size, F_SEAL_SHRINK | F_SEAL_GROW);
	if (rc == 0)
		rc = fl__shm_os.map(fd, size, true, memory);
	if (rc == 0)
		rc = fl__shm_os.keep(*memory, size);
	if (rc == 0)
		rc = fl__shm_os.add_seals(fd, seals);
	if (rc == 0)
		return fd;
	fl__close(fd);
	return rc;
}

void fl__member_free(struct fl__member *m)
{
	const bool forked = fl__executor_is_forked(&m->crew->base);
	fl__crew_sys.free(m->process);
	if (!forked && m->lane.orders)
		fl__shm_os.unmap(m->lane.orders, sizeof *m->lane.orders);
	if (!forked && m->lane.replies)
		fl__shm_os.unmap(m->lane.replies, sizeof *m->lane.replies);
	if (!forked || !fl__process_swept()) {
		fl__close(m->channel);
		fl__close(m->bell);
	}
	fl__free(m);
}

/* Starting. */

static int make_lane(struct fl__member *m, int fds[FL__WORKER_FDS])
{
	void *orders, *replies = NULL;
	fds[FL__WORKER_ORDERS] = make_memory(sizeof *m->lane.orders, FL__SEAL_FUTURE_WRITE | F_SEAL_SEAL, &orders);
	fds[FL__WORKER_REPLIES] = make_memory(sizeof *m->lane.replies, F_SEAL_SEAL, &replies);
	m->lane.orders = orders;
	m->lane.replies = replies;
	if (fds[FL__WORKER_ORDERS] < 0 || fds[FL__WORKER_REPLIES] < 0)
		return fds[fds[FL__WORKER_ORDERS] < 0 ? FL__WORKER_ORDERS : FL__WORKER_REPLIES];
	fl__lane_init(&m->lane, orders, replies);
	return 0;
}

static int start_process(struct fl__member *m, const int given[FL__WORKER_FDS])
{
	const struct fl__crew *c = m->crew;
	int fds[FL__WORKER_FDS + FL_REGIONS_MAX];
	char name[32];
	const struct fl__worker_start start = {.n_regions = c->base.n_regions};
	for (unsigned i = 0; i < FL__WORKER_FDS; i++)
		fds[i] = given[i];
	for (unsigned i = 0; i < c->base.n_regions; i++)
		fds[FL__WORKER_FDS + i] = fl_shm_fd(c->base.regions[i]);
	(void)snprintf(name, sizeof name, "%s-%u", c->name, m->number);
	const fl_process_config config = {.task = &fl__worker_task,
	                                  .arg = &start,
	                                  .name = name,
	                                  .daemon = true,
	                                  .fds = fds,
	                                  .n_fds = FL__WORKER_FDS + c->base.n_regions};
	return fl__crew_sys.start(&m->process, &config);
}

static int start(struct fl__member *m)
{
	int fds[FL__WORKER_FDS] = {-1, -1, -1, -1}, ends[2] = {-1, -1};
	m->bell = fds[FL__WORKER_BELL] = fl__above(fl__os.event());
	int rc = m->bell < 0 ? m->bell : fl__above_pair(ends);
	if (rc == 0) {
		m->channel = ends[0];
		fds[FL__WORKER_CHANNEL] = ends[1];
		rc = make_lane(m, fds);
	}
	if (rc == 0)
		rc = start_process(m, fds);
	fl__close(ends[1]);
	fl__close(fds[FL__WORKER_ORDERS]);
	fl__close(fds[FL__WORKER_REPLIES]);
	return rc;
}

/* The least number that no worker has. */
static unsigned free_number(const struct fl__crew *c)
{
	for (unsigned number = 0;; number++) {
		unsigned i = 0;
		while (i < c->n_members && c->members[i]->number != number)
			i++;
		if (i == c->n_members)
			return number;
	}
}

/* Makes room for one more member. Members that are leaving count, too. */
static int grow(struct fl__crew *c)
{
	if (c->n_members < c->room)
		return 0;
	const unsigned room = c->room ? 2 * c->room : 8;
	struct fl__member **members = fl__alloc(room, sizeof(struct fl__member *));
	if (!members)
		return -ENOMEM;
	if (c->n_members > 0)
		memcpy(members, c->members, c->n_members * sizeof(struct fl__member *));
	fl__free(c->members);
	c->members = members;
	c->room = room;
	return 0;
}

unsigned fl__crew_serving(const struct fl__crew *c)
{
	unsigned n = 0;
	for (unsigned i = 0; i < c->n_members; i++)
		n += !c->members[i]->retired && !c->members[i]->why;
	return n;
}

/* A close is not enough: a forked child's copies would keep the registrations. */
static void stop_watching(struct fl__member *m)
{
	const int epoll = m->crew->epoll;
	(void)fl__fd_sys.watch(epoll, EPOLL_CTL_DEL, m->bell, 0);
	(void)fl__fd_sys.watch(epoll, EPOLL_CTL_DEL, fl__crew_sys.sentinel(m->process), 0);
}

static int join_crew(struct fl__member *m)
{
	struct fl__crew *c = m->crew;
	const int sentinel = fl__crew_sys.sentinel(m->process);
	int rc = grow(c);
	if (rc == 0)
		rc = fl__fd_sys.watch(c->epoll, EPOLL_CTL_ADD, m->bell, EPOLLIN);
	if (rc == 0)
		rc = fl__fd_sys.watch(c->epoll, EPOLL_CTL_ADD, sentinel, EPOLLIN);
	if (rc == 0 && c->base.initialize)
		rc = fl__crew_post_initializer(m);
	if (rc != 0) {
		stop_watching(m);
		return rc;
	}
	m->retired = fl__crew_serving(c) >= c->base.workers; /* after a resize */
	c->members[c->n_members++] = m;
	return 0;
}

int fl__crew_start_member(struct fl__crew *c, char *text)
{
	struct fl__member *m = fl__alloc(1, sizeof *m);
	if (!m) {
		(void)snprintf(text, FL_MESSAGE_MAX, "no memory for a worker");
		return -ENOMEM;
	}
	m->crew = c;
	m->channel = m->bell = -1;
	m->quota = c->config.max_tasks > 0 ? (uint32_t)c->config.max_tasks : UINT32_MAX / 2;
	m->number = free_number(c);
	fl_mutex_unlock(&c->base.lock);
	int rc = start(m);
	fl_mutex_lock(&c->base.lock);
	if (rc == 0)
		rc = join_crew(m);
	if (rc == 0)
		return 0;
	(void)snprintf(text, FL_MESSAGE_MAX, "worker %s-%u cannot be started: %s: %s", c->name, m->number,
	               fl_error_name(rc), fl_error_text(rc));
	fl__member_free(m);
	return rc;
}

/* Dying. */

void fl__crew_kill(struct fl__member *m, const char *why)
{
	if (m->why)
		return;
	m->why = why;
	int rc = fl__crew_sys.kill(m->process);
	(void)rc; /* -ESRCH: it has ended */
}

/* sigabbrev_np() needs glibc 2.32. `text`: room for a signal without a name here. */
static const char *signal_name(int signal, char text[24])
{
	static const char *const names[] = {
	    [SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",   [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL",
	    [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT", [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",
	    [SIGKILL] = "SIGKILL", [SIGUSR1] = "SIGUSR1", [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
	    [SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM", [SIGTERM] = "SIGTERM", [SIGXCPU] = "SIGXCPU",
	    [SIGXFSZ] = "SIGXFSZ", [SIGSYS] = "SIGSYS",
	};
	if (signal > 0 && (size_t)signal < sizeof names / sizeof *names && names[signal])
		return names[signal];
	(void)snprintf(text, 24, "signal %d", signal);
	return text;
}

/* How the worker died: "worker 4711 (name-0) killed by SIGSEGV". */
static void describe(const struct fl__member *m, char *text, size_t room)
{
	fl_process_status status;
	char number[24];
	int rc = fl__crew_sys.try_join(m->process, &status);
	int n = snprintf(text, room, "worker %d (%s) ", fl__crew_sys.pid(m->process), fl__crew_sys.name(m->process));
	const size_t at = n > 0 && (size_t)n < room ? (size_t)n : 0;
	char *rest = text + at;
	room -= at;
	if (m->why)
		(void)snprintf(rest, room, "was killed: %s", m->why);
	else if (rc != 0)
		(void)snprintf(rest, room, "has died, and how is not known: %s", fl_error_text(rc));
	else if (status.signal != 0)
		(void)snprintf(rest, room, "killed by %s", signal_name(status.signal, number));
	else
		(void)snprintf(rest, room, "exited with status %d", status.code);
}

static int death_error(const struct fl__crew *c, const struct fl__cell *cell)
{
	if (cell->asked == FL__EXPIRED)
		return -ETIMEDOUT;
	return c->terminated ? -ECANCELED : -EOWNERDEAD;
}

/* Requeues a task that had started, or fails it. */
static void settle_started(struct fl__member *m, struct fl__cell *cell, const char *how)
{
	struct fl__crew *c = m->crew;
	fl__crew_take_ended(m, cell);
	cell->attempts += cell->attempts < UINT16_MAX;
	const bool again = cell->attempts < cell->future.type->max_attempts && cell->attempts < UINT16_MAX;
	if (again && cell->asked != FL__EXPIRED && !c->terminated && !c->base.broken)
		fl__queue_add_first(&c->base.queue, cell);
	else
		fl__crew_fail(c, cell, death_error(c, cell), "%s", how);
}

/*
 * Whether the task had started. Also true if the task was `next` at too many deaths of ready
 * workers: a worker that clears its claim words and dies could else get the task for ever.
 */
static bool had_started(struct fl__member *m, struct fl__cell *cell, bool next)
{
	enum { SUSPICIONS_MOST = 3 };
	if (fl__lane_fate(&m->lane, cell->seq) == FL__LANE_STARTED)
		return true;
	cell->suspicions += next && m->ready;
	return cell->suspicions > SUSPICIONS_MOST;
}

/* Newest first, since each goes to the front of the queue. */
static void settle_tasks(struct fl__member *m, const char *how)
{
	struct fl__crew *c = m->crew;
	for (uint32_t seq = m->lane.next; seq != m->lane.first; seq--) {
		const unsigned slot = (seq - 1) % FL__LANE_DEPTH;
		struct fl__cell *cell = m->cells[slot];
		if (!cell)
			continue;
		const bool started = had_started(m, cell, seq - 1 == m->lane.first);
		m->cells[slot] = NULL;
		m->load--;
		c->posted--;
		fl__stopper_disarm(cell);
		cell->member = NULL;
		if (started)
			settle_started(m, cell, how);
		else if (c->terminated)
			fl__crew_cancelled(c, cell);
		else
			fl__queue_add_first(&c->base.queue, cell);
	}
}

/* Reads the worker's packets for "ready": the word in its memory may be damaged. */
static void hear_whether_ready(struct fl__member *m)
{
	for (unsigned i = 0; i < 2 * FL__LANE_DEPTH && !m->ready; i++) { /* against a flood */
		struct fl__apart head = {0, 0, 0};
		struct iovec part = {&head, sizeof head};
		struct fl__packet packet = {.parts = &part, .n_parts = 1};
		if (fl__packet_try_recv(m->channel, &packet, 0) != 0)
			return;
		m->ready = head.magic == FL__READY_MAGIC;
	}
}

/* A worker that died before it was ready, or in its initializer, counts as a failed start. */
static void count_failure(struct fl__member *m, const char *how)
{
	struct fl__crew *c = m->crew;
	if (!m->ready || m->initializing)
		fl__crew_start_failed(c, how);
}

static bool somebody_is_ready(const struct fl__crew *c)
{
	for (unsigned i = 0; i < c->n_members; i++)
		if (c->members[i]->ready && !c->members[i]->initializing && !c->members[i]->retired)
			return true;
	return false;
}

void fl__crew_start_failed(struct fl__crew *c, const char *how)
{
	const int64_t first_pause = FL_MS(1);
	c->retry_at = fl__sys.now() + (first_pause << (c->failures < 7 ? c->failures : 7));
	/* While another worker is ready, the count stays below FL__CREW_TRIES. */
	if (c->failures + 1 < FL__CREW_TRIES || !somebody_is_ready(c))
		c->failures++;
	(void)snprintf(c->broken, sizeof c->broken, "%s", how);
}

void fl__crew_bury(struct fl__member *m)
{
	struct fl__crew *c = m->crew;
	char how[FL_MESSAGE_MAX];
	(void)fl__crew_harvest_from(m);
	hear_whether_ready(m);
	describe(m, how, sizeof how);
	settle_tasks(m, how);
	if (!c->terminated)
		count_failure(m, how);
	unsigned i = 0;
	while (c->members[i] != m)
		i++;
	c->members[i] = c->members[--c->n_members];
	stop_watching(m);
	fl__member_free(m);
}
