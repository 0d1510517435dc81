/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names and addresses. A lookup is a task on the loop's threads. The task owns its name and its
 * result, so the fiber may stop waiting for it. A result that comes too late is freed with its
 * future.
 */
#include "net_resolve.h"
#include "to_thread.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fairlead/future.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

enum { HOST_SIZE = 256 };

struct question {
	char host[HOST_SIZE];
};

struct answer {
	int n; /* the number of addresses, or an error */
	struct fl__address list[FL_ADDRESSES_MAX];
};

static int run(fl_task_ctx *ctx, const void *arg, void *result)
{
	const struct question *q = arg;
	struct answer *a = result;
	(void)ctx;
	a->n = fl__name_sys.lookup(q->host, 0, a->list, FL_ADDRESSES_MAX);
	return 0;
}

static const fl_task_type lookup_type = {
    .size = sizeof(fl_task_type),
    .name = "fl__lookup",
    .run = run,
    .arg_size = sizeof(struct question),
    .arg_align = _Alignof(struct question),
    .result_size = sizeof(struct answer),
    .result_align = _Alignof(struct answer),
};

static int take_answer(const fl_future *task, struct fl__address *list, unsigned n)
{
	const struct answer *a = fl_future_result(task);
	if (!a)
		return fl_future_error(task);
	if (a->n <= 0)
		return a->n;
	if ((unsigned)a->n < n)
		n = (unsigned)a->n;
	memcpy(list, a->list, n * sizeof *list);
	return (int)n;
}

/*
 * Looks a name up on a thread. This takes time, so it does not begin when the caller is cancelled
 * or past its deadline.
 */
static int look_up(fl_loop *l, const char *host, struct fl__address *list, unsigned n, int64_t deadline,
                   fl_cancel_token *cancel)
{
	struct question q = {{0}};
	fl_executor *threads;
	fl_future *task;
	if (fl_cancel_token_is_requested(cancel))
		return -ECANCELED;
	if (fl__is_past(deadline))
		return -ETIMEDOUT;
	memcpy(q.host, host, strlen(host));
	int rc = fl__loop_threads(l, &threads);
	if (rc == 0)
		rc = fl_submit(threads, &lookup_type, &q, &task);
	if (rc != 0)
		return rc;
	rc = fl_future_wait_until(task, deadline, cancel);
	if (rc == 0) {
		rc = take_answer(task, list, n);
	} else {
		int begun = fl_future_cancel(task);
		(void)begun; /* -EBUSY: the lookup goes on, with no waiter */
	}
	fl_future_free(task);
	return rc;
}

static int find(fl_loop *l, const char *host, struct fl__address *list, unsigned n, int64_t deadline,
                fl_cancel_token *cancel)
{
	if (!host || n == 0)
		return -EINVAL;
	size_t length = strnlen(host, HOST_SIZE);
	if (length == HOST_SIZE)
		return -ENAMETOOLONG;
	if (length == 0)
		return -ENOENT;
	int rc = fl__name_sys.lookup(host, AI_NUMERICHOST, list, n);
	if (rc != -ENOENT)
		return rc;
	if (!fl_fiber_current())
		return fl__loop_needed("looking up a name", FL__A_FIBER);
	return look_up(l, host, list, n, deadline, cancel);
}

int fl__resolve(fl_loop *l, const char *host, uint16_t port, struct fl__address *list, unsigned n, int64_t deadline,
                fl_cancel_token *cancel)
{
	int rc = find(l, host, list, n, deadline, cancel);
	for (int i = 0; i < rc; i++)
		fl__address_set_port(&list[i], port);
	return rc;
}

int fl__net_enter(fl_loop **l, bool waits, const char *function)
{
	*l = fl_loop_current();
	if (*l && (!waits || fl_fiber_current()))
		return 0;
	return fl__loop_needed(function, waits ? FL__A_FIBER : FL__A_LOOP);
}

/* Addresses. */

void fl__address_set_port(struct fl__address *a, uint16_t port)
{
	*(a->at.any.sa_family == AF_INET ? &a->at.v4.sin_port : &a->at.v6.sin6_port) = htons(port);
}

struct fl__address fl__address_any(int family)
{
	struct fl__address a = {0};
	a.at.any.sa_family = (sa_family_t)family;
	a.size = family == AF_INET ? sizeof a.at.v4 : sizeof a.at.v6;
	return a;
}

int fl__unix_address(struct sockaddr_un *a, const char *path)
{
	if (!path || path[0] == '\0')
		return -EINVAL;
	const size_t most = sizeof a->sun_path - 1, length = strnlen(path, most + 1);
	if (length > most)
		return -ENAMETOOLONG;
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(a->sun_path, path, length);
	const bool is_abstract = path[0] == '@';
	if (is_abstract)
		a->sun_path[0] = '\0';
	/* a path includes its NUL; in an abstract name a NUL would be one more character */
	return (int)(offsetof(struct sockaddr_un, sun_path) + length + !is_abstract);
}

/* Prints the name of an interface; or its number, if it has no name. */
static void print_zone(char *text, size_t size, unsigned zone)
{
	char name[IF_NAMESIZE];
	int before = errno;
	if (if_indextoname(zone, name))
		(void)snprintf(text, size, "%%%s", name);
	else
		(void)snprintf(text, size, "%%%u", zone);
	errno = before;
}

static void print(const struct fl__address *a, fl_address *to)
{
	if (a->at.any.sa_family == AF_INET) {
		(void)inet_ntop(AF_INET, &a->at.v4.sin_addr, to->text, sizeof to->text);
		return;
	}
	(void)inet_ntop(AF_INET6, &a->at.v6.sin6_addr, to->text, sizeof to->text);
	const size_t length = strlen(to->text);
	if (a->at.v6.sin6_scope_id != 0)
		print_zone(to->text + length, sizeof to->text - length, a->at.v6.sin6_scope_id);
}

int fl_resolve_until(const char *host, fl_address *to, unsigned n, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__address list[FL_ADDRESSES_MAX];
	fl_loop *l;
	int rc = fl__net_enter(&l, true, "fl_resolve");
	if (rc != 0)
		return rc;
	rc = fl__resolve(l, host, 0, list, n < FL_ADDRESSES_MAX ? n : FL_ADDRESSES_MAX, deadline, cancel);
	for (int i = 0; i < rc; i++)
		print(&list[i], &to[i]);
	return rc;
}
