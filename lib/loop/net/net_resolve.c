/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lookup of a name is a task on threads of the loop (to_thread.h). The task owns its name and its
 * result, because the fiber may stop waiting; a late result is freed with its future.
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
	fl_address list[FL_ADDRESSES_MAX];
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

static int resolve_take_answer(const fl_future *task, const char *host, fl_address *list, unsigned n)
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

/*
 * Looks up a host on a thread. Does not begin if the caller is cancelled or its deadline has
 * passed.
 */
static int resolve_on_thread(fl_loop *l, const char *host, fl_address *list, unsigned n, fl_time deadline,
                             fl_cancel_token *cancel)
{
	char name[RESOLVE_HOST_SIZE] = "";
	fl_executor *threads;
	fl_future *task;
	int rc = fl__is_interrupted(deadline, cancel);
	memcpy(name, host, strlen(host) + 1);
	if (rc == 0)
		rc = fl__loop_threads(l, FL__LOOP_LOOKUPS, &threads);
	if (rc == 0)
		rc = fl_executor_submit(threads, &resolve_lookup_type, name, &task);
	if (rc != 0)
		return rc;
	rc = fl_future_wait_until(task, deadline, cancel);
	if (rc == 0) {
		rc = resolve_take_answer(task, host, list, n);
	} else if (fl_future_cancel(task) == -EINPROGRESS) {
		l->lookup_left = true;
	}
	fl_future_free(task);
	return rc;
}

static int resolve_find(fl_loop *l, const char *host, fl_address *list, unsigned n, fl_time deadline,
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

int fl__resolve(fl_loop *l, const char *host, uint16_t port, fl_address *list, unsigned n, fl_time deadline,
                fl_cancel_token *cancel)
{
	int rc = resolve_find(l, host, list, n, deadline, cancel);
	for (int i = 0; i < rc; i++)
		*fl__port_in(&list[i]) = htons(port);
	return rc;
}

/* Stores the addresses for sockets of this machine. */

static int resolve_local(fl_loop *l, const char *host, uint16_t port, fl_address *list)
{
	if (host) {
		int n = fl__resolve(l, host, port, list, FL_ADDRESSES_MAX, FL_FOREVER, NULL);
		fl__addresses_ipv4_first(list, n);
		return n;
	}
	fl__address_set(&list[0], &(struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)},
	                sizeof(struct sockaddr_in6));
	fl__address_set(&list[1], &(struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)},
	                sizeof(struct sockaddr_in));
	return 2;
}

static int resolve_open_at(const fl_address *a, int type, fl__net_prepare *prepare, bool all, const void *config)
{
	const int family = a->system.ss_family, fd = fl__net_sys.socket(family, type, 0);
	int rc = fd < 0 ? fd : prepare(fd, family, all, config);
	if (rc == 0)
		rc = fl__net_sys.bind(fd, fl__sockaddr(a), a->size);
	if (rc == 0)
		return fd;
	fl__fd_close(fd);
	return fl__net_error(rc);
}

int fl__net_open(fl_loop *l, const char *host, uint16_t port, int type, fl__net_prepare *prepare, const void *config)
{
	fl_address list[FL_ADDRESSES_MAX];
	const int n = resolve_local(l, host, port, list);
	int fd = n < 0 ? n : -EADDRNOTAVAIL;
	for (int i = 0; i < n && (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT); i++)
		fd = resolve_open_at(&list[i], type, prepare, !host, config);
	return fd;
}

int fl_net_resolve_until(const char *host, uint16_t port, fl_address *list, unsigned n, fl_time deadline,
                         fl_cancel_token *cancel)
{
	fl_loop *l = fl__loop_needed(true, "fl_net_resolve");
	return l ? fl__resolve(l, host, port, list, FL__MIN(n, FL_ADDRESSES_MAX), deadline, cancel) : -ENOTSUP;
}

/* System calls. */

int fl__lookup_error(int code, int system)
{
	switch (code) {
	case EAI_NONAME:
#ifdef EAI_NODATA /* glibc has the code, like all codes in an #ifdef here */
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

static unsigned resolve_copy(const struct addrinfo *found, fl_address *list, unsigned n)
{
	unsigned stored = 0;
	for (; found && stored < n; found = found->ai_next) {
		if (found->ai_family != AF_INET && found->ai_family != AF_INET6)
			continue;
		fl__address_set(&list[stored], found->ai_addr, found->ai_addrlen);
		fl__address_from_system(&list[stored], found->ai_addrlen);
		stored++;
	}
	return stored;
}

static int resolve_sys_lookup(const char *host, int flags, fl_address *list, unsigned n)
{
	/* asks for one socket type, since otherwise each address would come several times */
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
