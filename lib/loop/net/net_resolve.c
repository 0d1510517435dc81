/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lookup is a task on the loop's threads, which owns its name and its result: the fiber may stop
 * waiting, and a late result is freed with its future.
 */
#include "net_resolve.h"
#include "../to_thread.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "fd/net_sys.h"
#include <fairlead/error.h>
#include <fairlead/future.h>
#include <netdb.h>
#include <string.h>

enum { RESOLVE_HOST_SIZE = 256 };

struct resolve_answer {
	int n; /* the number of addresses, or an error */
	struct fl__address list[FL_ADDRESSES_MAX];
};

static int resolve_run(fl_task_ctx *ctx, const void *arg, void *result)
{
	struct resolve_answer *a = result;
	(void)ctx;
	FL__SIGNALS_BLOCKED(false); /* no signal interrupts what the C library loads for getaddrinfo() */
	a->n = fl__name_sys.lookup(arg, 0, a->list, FL_ADDRESSES_MAX);
	return 0;
}

static const fl_task_type resolve_lookup_type = {
    .size = sizeof(fl_task_type),
    .name = "fl__lookup",
    .run = resolve_run,
    .arg_size = RESOLVE_HOST_SIZE,
    .arg_align = 1,
    .result_size = sizeof(struct resolve_answer),
    .result_align = _Alignof(struct resolve_answer),
};

static const char *resolve_reason(int error)
{
	switch (error) {
	case -ENOENT:
		return "the name does not exist, or has no address";
	case -EAGAIN:
		return "the name servers do not answer now";
	case -EIO:
		return "the name servers refuse";
	default:
		return fl_error_text(error);
	}
}

static int resolve_log_failure(const char *host, int error)
{
	fl__log(FL_LOG_ERROR, "cannot look up host \"%s\": %s: %s", host, fl_error_name(error), resolve_reason(error));
	return error;
}

static int resolve_take_answer(const fl_future *task, const char *host, struct fl__address *list, unsigned n)
{
	const struct resolve_answer *a = fl_future_result(task);
	if (!a)
		return fl_future_error(task);
	if (a->n <= 0)
		return resolve_log_failure(host, a->n);
	if ((unsigned)a->n < n)
		n = (unsigned)a->n;
	memcpy(list, a->list, n * sizeof *list);
	return (int)n;
}

/* Begins no lookup if the caller is cancelled or late. */
static int resolve_on_thread(fl_loop *l, const char *host, struct fl__address *list, unsigned n, fl_time deadline,
                             fl_cancel_token *cancel)
{
	char name[RESOLVE_HOST_SIZE] = "";
	fl_executor *threads;
	fl_future *task;
	int rc = fl__is_interrupted(deadline, cancel);
	memcpy(name, host, strlen(host) + 1);
	if (rc == 0)
		rc = fl__loop_threads(l, &threads);
	if (rc == 0)
		rc = fl_submit(threads, &resolve_lookup_type, name, &task);
	if (rc != 0)
		return rc;
	rc = fl_future_wait_until(task, deadline, cancel);
	if (rc == 0) {
		rc = resolve_take_answer(task, host, list, n);
	} else {
		(void)!fl_future_cancel(task); /* -EBUSY: the lookup goes on without a waiter */
	}
	fl_future_free(task);
	return rc;
}

static int resolve_find(fl_loop *l, const char *host, struct fl__address *list, unsigned n, fl_time deadline,
                        fl_cancel_token *cancel)
{
	if (!host || n == 0)
		return -EINVAL;
	size_t length = strnlen(host, RESOLVE_HOST_SIZE);
	if (length == RESOLVE_HOST_SIZE)
		return -ENAMETOOLONG;
	if (length == 0)
		return resolve_log_failure(host, -ENOENT);
	int rc = fl__name_sys.lookup(host, AI_NUMERICHOST, list, n);
	if (rc != -ENOENT)
		return rc;
	if (!fl__loop_needed(true, "looking up a name"))
		return -ENOTSUP;
	return resolve_on_thread(l, host, list, n, deadline, cancel);
}

int fl__resolve(fl_loop *l, const char *host, uint16_t port, struct fl__address *list, unsigned n, fl_time deadline,
                fl_cancel_token *cancel)
{
	int rc = resolve_find(l, host, list, n, deadline, cancel);
	for (int i = 0; i < rc; i++)
		*fl__port_in(&list[i].at) = htons(port);
	return rc;
}

/* Addresses. */

bool fl__is_same_address(const void *a, const void *b)
{
	const struct sockaddr_in *a4 = a, *b4 = b;
	const struct sockaddr_in6 *a6 = a, *b6 = b;
	if (a4->sin_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
	       memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}

in_port_t *fl__port_in(void *sockaddr)
{
	const struct sockaddr *a = sockaddr;
	return a->sa_family == AF_INET ? &((struct sockaddr_in *)sockaddr)->sin_port
	                               : &((struct sockaddr_in6 *)sockaddr)->sin6_port;
}

void fl__addresses_ipv4_first(struct fl__address *list, int n)
{
	for (int i = 0, next = 0; i < n; i++) {
		const struct fl__address a = list[i];
		if (a.at.any.sa_family != AF_INET)
			continue;
		memmove(&list[next + 1], &list[next], (size_t)(i - next) * sizeof *list);
		list[next++] = a;
	}
}

static int resolve_local(fl_loop *l, const char *host, uint16_t port, struct fl__address *list)
{
	if (host) {
		int n = fl__resolve(l, host, port, list, FL_ADDRESSES_MAX, FL_FOREVER, NULL);
		fl__addresses_ipv4_first(list, n);
		return n;
	}
	list[0] = (struct fl__address){sizeof list->at.v6, {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}}};
	list[1] = (struct fl__address){sizeof list->at.v4, {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}}};
	return 2;
}

static int resolve_open_at(const struct fl__address *a, int type, fl__net_prepare *prepare, bool all,
                           const void *config)
{
	const int family = a->at.any.sa_family, fd = fl__net_sys.socket(family, type, 0);
	int rc = fd < 0 ? fd : prepare(fd, family, all, config);
	if (rc == 0)
		rc = fl__net_sys.bind(fd, &a->at.any, a->size);
	if (rc == 0)
		return fd;
	fl__fd_close(fd);
	return fl__net_error(rc);
}

int fl__net_open(fl_loop *l, const char *host, uint16_t port, int type, fl__net_prepare *prepare, const void *config)
{
	struct fl__address list[FL_ADDRESSES_MAX];
	const int n = resolve_local(l, host, port, list);
	int fd = n < 0 ? n : -EADDRNOTAVAIL;
	for (int i = 0; i < n && (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT); i++)
		fd = resolve_open_at(&list[i], type, prepare, !host, config);
	return fd;
}

static void resolve_print(const struct fl__address *a, fl_address *to)
{
	FL__UNCANCELLED();
	(void)getnameinfo(&a->at.any, a->size, to->text, sizeof to->text, NULL, 0, NI_NUMERICHOST);
}

int fl_net_resolve_until(const char *host, fl_address *to, unsigned n, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__address list[FL_ADDRESSES_MAX];
	fl_loop *l = fl__loop_needed(true, "fl_net_resolve");
	if (!l)
		return -ENOTSUP;
	int rc = fl__resolve(l, host, 0, list, FL__MIN(n, FL_ADDRESSES_MAX), deadline, cancel);
	for (int i = 0; i < rc; i++)
		resolve_print(&list[i], &to[i]);
	return rc;
}

/* System calls. */

int fl__lookup_error(int code, int system)
{
	switch (code) {
	case EAI_NONAME:
#ifdef EAI_NODATA /* glibc's, as are all codes in an #ifdef here */
	case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
	case EAI_ADDRFAMILY:
#endif
		return -ENOENT;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_OVERFLOW:
		return -ENAMETOOLONG;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_FAMILY:
		return -EAFNOSUPPORT;
	case EAI_BADFLAGS:
	case EAI_SOCKTYPE:
	case EAI_SERVICE:
#ifdef EAI_IDN_ENCODE
	case EAI_IDN_ENCODE:
#endif
		return -EINVAL;
	case EAI_SYSTEM:
		return system > 0 ? -system : -EIO;
	default: /* EAI_FAIL */
		return -EIO;
	}
}

static unsigned resolve_copy(const struct addrinfo *found, struct fl__address *list, unsigned n)
{
	unsigned stored = 0;
	for (; found && stored < n; found = found->ai_next) {
		struct fl__address *a = &list[stored];
		if (found->ai_family != AF_INET && found->ai_family != AF_INET6)
			continue;
		*a = (struct fl__address){.size = found->ai_addrlen};
		memcpy(&a->at, found->ai_addr, found->ai_addrlen);
		stored++;
	}
	return stored;
}

static int resolve_sys_lookup(const char *host, int flags, struct fl__address *list, unsigned n)
{
	/* one socket type: else each address comes several times */
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct addrinfo *found = NULL;
	FL__UNCANCELLED();
	errno = 0;
	int code = getaddrinfo(host, NULL, &hints, &found);
	int rc = code != 0 ? fl__lookup_error(code, errno) : (int)resolve_copy(found, list, n);
	if (code == 0)
		freeaddrinfo(found);
	return rc != 0 ? rc : -ENOENT;
}

struct fl__name_sys fl__name_sys = {.lookup = resolve_sys_lookup};

int fl__net_set_options(int fd, const struct fl__socket_option *options, size_t n)
{
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		if (options[i].wanted)
			rc = fl__net_sys.set_option(fd, options[i].level, options[i].option, options[i].value);
	return rc;
}
