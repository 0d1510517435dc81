/* SPDX-License-Identifier: BSD-2-Clause */
/* Names: what a lookup finds, what its errors mean, and who does not wait for it. */
#include "fl_net.h"

#include <net/if.h>

static bool is(const fl_address *a, const char *text)
{
	return strcmp(a->text, text) == 0;
}

static int numbers(void *unused)
{
	fl_address a[4];
	(void)unused;
	fl_test_lookup_ours();
	fl_fiber_cancel(fl_fiber_current()); /* they never wait */
	FL_GIVES(fl_resolve("127.0.0.1", a, 4), 1);
	FL_CHECK(is(a, "127.0.0.1"));
	FL_GIVES(fl_resolve("::1", a, 4), 1);
	FL_CHECK(is(a, "::1"));
	FL_GIVES(fl_resolve("2001:db8:0:0:0:0:0:1", a, 4), 1);
	FL_CHECK(is(a, "2001:db8::1"));
	FL_GIVES(fl_resolve_until("127.1", a, 1, 0, NULL), 1);
	FL_CHECK(is(a, "127.0.0.1"));
	FL_GIVES(fl_resolve("fe80::1%lo", a, 1), 1);
	FL_CHECK(is(a, "fe80::1%lo"));
	FL_GIVES(fl_resolve("fe80::1%1234567", a, 1), 1);
	FL_CHECK(is(a, "fe80::1%1234567"));
	FL_CHECK(fl_test_asked == 0);
	fl_test_no_faults();
	return 0;
}

FL_TEST(net_resolve_numbers)
{
	fl_test_leaves_nothing(numbers, NULL);
}

static int names(void *unused)
{
	fl_address a[FL_ADDRESSES_MAX + 1];
	(void)unused;
	FL_CHECK(fl_resolve("localhost", a, 2) > 0);
	FL_CHECK(is(&a[0], "127.0.0.1") || is(&a[0], "::1"));
	/* these are no names, so that nobody is asked for them */
	FL_GIVES(fl_resolve("no such name", a, 2), -ENOENT);
	FL_GIVES(fl_resolve("no..name", a, 2), -ENOENT);
	fl_test_lookup_ours();
	fl_test_found_add("127.0.0.2");
	fl_test_found_add("::1");
	fl_test_found_add("127.0.0.1");
	FL_GIVES(fl_resolve("some.name", a, FL_ADDRESSES_MAX + 1), 3); /* in their order */
	FL_CHECK(is(&a[0], "127.0.0.2") && is(&a[1], "::1") && is(&a[2], "127.0.0.1"));
	(void)snprintf(a[1].text, sizeof a[1].text, "untouched");
	FL_GIVES(fl_resolve("some.name", a, 1), 1);
	FL_CHECK(is(&a[0], "127.0.0.2") && is(&a[1], "untouched"));
	for (int i = 3; i < 40; i++)
		fl_test_found_add("127.0.0.3");
	FL_GIVES(fl_resolve("some.name", a, FL_ADDRESSES_MAX + 1), FL_ADDRESSES_MAX);
	FL_CHECK(fl_test_asked == 3);
	fl_test_no_faults();
	return 0;
}

FL_TEST(net_resolve_names)
{
	fl_test_leaves_nothing(names, NULL);
}

static int bad_calls(void *unused)
{
	char name[300];
	fl_address a;
	(void)unused;
	FL_GIVES(fl_resolve(NULL, &a, 1), -EINVAL);
	FL_GIVES(fl_resolve("127.0.0.1", &a, 0), -EINVAL);
	FL_GIVES(fl_resolve("", &a, 1), -ENOENT);
	memset(name, 'x', sizeof name);
	name[256] = '\0';
	FL_GIVES(fl_resolve(name, &a, 1), -ENAMETOOLONG);
	fl_test_lookup_ours();
	fl_test_found_add("127.0.0.1");
	name[255] = '\0';
	FL_GIVES(fl_resolve(name, &a, 1), 1);
	fl_test_no_faults();
	return 0;
}

FL_TEST(net_resolve_bad_calls)
{
	fl_address a;
	FL_RC(fl_resolve("127.0.0.1", &a, 1), -ENOTSUP);
	FL_RC(fl_resolve_until("127.0.0.1", &a, 1, 0, NULL), -ENOTSUP);
	fl_test_leaves_nothing(bad_calls, NULL);
}

/* ---- errors */

/* What fairlead/net.h says of each. */
FL_TEST(net_resolve_codes)
{
	static const struct {
		int code, system, means;
	} codes[] = {
	    {EAI_NONAME, 0, -ENOENT},           {EAI_NODATA, 0, -ENOENT},     {EAI_ADDRFAMILY, 0, -ENOENT},
	    {EAI_AGAIN, 0, -EAGAIN},            {EAI_FAIL, 0, -EIO},          {EAI_OVERFLOW, 0, -ENAMETOOLONG},
	    {EAI_MEMORY, 0, -ENOMEM},           {EAI_FAMILY, 0, -EAFNOSUPPORT}, {EAI_IDN_ENCODE, 0, -EINVAL},
	    {EAI_BADFLAGS, 0, -EINVAL},         {EAI_SOCKTYPE, 0, -EINVAL},   {EAI_SERVICE, 0, -EINVAL},
	    {EAI_SYSTEM, EMFILE, -EMFILE},      {EAI_SYSTEM, ENFILE, -ENFILE}, {EAI_SYSTEM, 0, -EIO},
	    {EAI_NONAME, EMFILE, -ENOENT},      {-1234, 0, -EIO},
	};
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		FL_RC(fl__lookup_error(codes[i].code, codes[i].system), codes[i].means);
}

static int no_threads(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	(void)thread;
	(void)attr;
	(void)start;
	(void)arg;
	return -EAGAIN;
}

static int failures(void *unused)
{
	fl_address a;
	fl_stream *s = NULL;
	(void)unused;
	fl_test_lookup_ours();
	fl_test_found_add("127.0.0.1");
	fl__sys.thread_create = no_threads;
	FL_GIVES(fl_resolve("some.name", &a, 1), -EAGAIN);
	FL_GIVES(fl_connect_tcp(&s, "some.name", 80), -EAGAIN);
	fl__sys.thread_create = fl_test_real_sys.thread_create;
	fl__sys.alloc = fl_test_no_memory;
	FL_GIVES(fl_resolve("some.name", &a, 1), -ENOMEM);
	FL_GIVES(fl_connect_tcp(&s, "some.name", 80), -ENOMEM);
	fl__sys.alloc = fl_test_counting_alloc;
	FL_CHECK(fl_test_asked == 0);
	static const int errors[] = {-ENOENT, -EAGAIN, -EIO, -EMFILE, -ENAMETOOLONG};
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		fl_test_found_n = errors[i];
		FL_GIVES(fl_resolve("some.name", &a, 1), errors[i]);
		FL_GIVES(fl_connect_tcp(&s, "some.name", 80), errors[i]);
	}
	fl_test_no_faults();
	return 0;
}

FL_TEST(net_resolve_failures)
{
	fl_test_leaves_nothing(failures, NULL);
}

static int unused_task(fl_task_ctx *ctx, const void *arg, void *result)
{
	(void)ctx;
	(void)arg;
	(void)result;
	return 0;
}

static int no_executor(void *unused)
{
	static const fl_task_type types[] = {{.size = sizeof *types, .name = "net_of_one_name", .run = unused_task},
	                                     {.size = sizeof *types, .name = "net_of_one_name", .run = failures_task_of()}};
	(void)types;
	(void)unused;
	return 0;
}
