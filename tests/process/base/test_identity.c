/* SPDX-License-Identifier: BSD-2-Clause */
/* Identities of two processes: build-ids, the identity of tasks, the digest of the registry. */
#include "fl_child.h"

#include "core/exec/registry.h"
#include "process/start/request.h"

FL_TASK(identity_one, int, long)
{
	*result = *arg;
	return 0;
}

FL_TASK(identity_two, int, long)
{
	*result = *arg;
	return 0;
}

FL_TEST(identity_of_modules)
{
	struct fl__build_id program, task, library, nowhere;
	char text[FL__BUILD_ID_TEXT];
	fl__build_id_of_program(&program);
	fl__build_id_of(&identity_one, &task);
	fl__build_id_of((const void *)(uintptr_t)&malloc, &library);
	fl__build_id_of((const void *)1, &nowhere);
	assert_true(program.size > 0);
	assert_memory_equal(&program, &task, sizeof program);
	assert_int_equal(nowhere.size, 0);
	assert_string_equal(fl__build_id_text(&nowhere, text), "unknown");
	assert_int_equal(strlen(fl__build_id_text(&program, text)), program.hashed ? 17 : 20);
	assert_true(library.size > 0);
}

FL_TEST(identity_of_tasks)
{
	struct fl__task_identity a, b, c;
	fl_task_type later = identity_one;
	later.version = 1;
	fl__task_identify(&identity_one, &a);
	fl__task_identify(&identity_two, &b);
	fl__task_identify(&later, &c);
	assert_true(a.id != b.id && a.id != c.id && b.id != c.id);
	assert_int_equal(a.arg_size, sizeof(int));
	assert_int_equal(a.result_size, sizeof(long));
	fl__task_identify(&identity_one, &b);
	assert_memory_equal(&a, &b, sizeof a);
}

/* The sum over the registered tasks, in any order. */
FL_TEST(identity_digest_has_no_order)
{
	struct fl__registry_digest before, one, other, after;
	const fl_task_type a = {.size = sizeof a, .name = "digest a", .run = identity_one.run};
	const fl_task_type b = {.size = sizeof b, .name = "digest b", .run = identity_one.run};
	fl_task_type changed = a;
	changed.arg_size = 8;
	fl_task_entry first = {&a, NULL}, second = {&b, NULL}, third = {&changed, NULL};
	fl__registry_digest(&before);
	assert_true(before.tasks >= 2);
	fl_task_register(&first);
	fl_task_register(&second);
	fl__registry_digest(&one);
	fl_task_unregister(&first);
	fl_task_unregister(&second);
	fl_task_register(&second);
	fl_task_register(&first);
	fl__registry_digest(&other);
	assert_memory_equal(&one, &other, sizeof one);
	assert_int_equal(one.tasks, before.tasks + 2);
	fl_task_unregister(&first);
	fl_task_register(&third);
	fl__registry_digest(&other);
	assert_int_equal(one.tasks, other.tasks);
	assert_true(one.sum != other.sum);
	fl_task_unregister(&third);
	fl_task_unregister(&second);
	fl__registry_digest(&after);
	assert_memory_equal(&before, &after, sizeof before);
}

static void count_visits(const fl_task_type *type, void *arg)
{
	FL_CHECK(type->name != NULL);
	++*(size_t *)arg;
}

FL_TEST(registry_visit_sees_each_name_once)
{
	size_t n = 0, again = 0;
	fl_task_entry twin = {&identity_one, NULL};
	fl__registry_visit(count_visits, &n);
	fl_task_register(&twin);
	fl__registry_visit(count_visits, &again);
	fl_task_unregister(&twin);
	assert_int_equal(n, again);
}

/*
 * Requests: every byte of one changed, every size truncated. Reads stay within the packet, and
 * nothing crashes.
 */

struct packet {
	uint32_t magic, flags, name_size, task_size;
	struct fl__task_identity task;
	struct fl__settings settings;
	struct fl__signal_sets signals;
	struct fl__clock clock;
	char text[64];
};

static size_t compose(struct packet *p)
{
	static const char text[] = "a name\0identity_one\0ARG";
	memset(p, 0, sizeof *p);
	*p = (struct packet){.magic = FL__MAGIC_START, .flags = FL__REQUEST_DIRECTORY, .name_size = 7, .task_size = 13};
	fl__task_identify(&identity_one, &p->task);
	memcpy(p->text, text, sizeof text); /* 7, 13, and 4 of the argument */
	return offsetof(struct packet, text) + 24;
}

FL_TEST(request_read_takes_what_was_sent)
{
	struct packet p;
	size_t size = compose(&p);
	struct fl__request request;
	struct fl__start_reply reply;
	FL_OK(fl__request_read(&request, &reply, &p, size, &(int){9}, 1));
	assert_int_equal(request.setup.cwd, 9);
	assert_ptr_equal(request.type, &identity_one);
	assert_string_equal(request.name, "a name");
	assert_memory_equal(request.arg, "ARG", 4);
	assert_int_equal(request.setup.n_fds, 3);
	assert_int_equal(request.setup.fds[0], -1);
	p.flags = 0;
	FL_OK(fl__request_read(&request, &reply, &p, size, NULL, 0));
	assert_int_equal(request.setup.cwd, -1);
	p.flags = FL__REQUEST_CHANNEL | FL__REQUEST_DIRECTORY | FL__REQUEST_STREAM << 1 | FL__REQUEST_DAEMON;
	const int fds[] = {10, 11, 12, 13, 14};
	FL_OK(fl__request_read(&request, &reply, &p, size, fds, 5));
	assert_int_equal(request.channel, 10);
	assert_int_equal(request.setup.cwd, 11);
	assert_int_equal(request.setup.fds[0], -1);
	assert_int_equal(request.setup.fds[1], 12);
	assert_int_equal(request.setup.fds[2], -1);
	assert_int_equal(request.setup.fds[4], 14);
	assert_true(request.daemon);
	assert_int_equal(request.setup.n_fds, 5);
	FL_RC(fl__request_read(&request, &reply, &p, size, fds, 2), -EMFILE);
	FL_RC(fl__request_read(&request, &reply, &p, size, fds, FL_PROCESS_FDS_MAX + 4), -EMFILE);
}

FL_TEST(request_read_refuses_what_is_damaged)
{
	struct packet whole;
	const size_t size = compose(&whole);
	const int directory = 9;
	struct fl__request request;
	struct fl__start_reply reply;
	for (size_t cut = 0; cut < size; cut++) {
		/* So that a sanitizer sees reads beyond. */
		unsigned char *copy = malloc(cut + !cut);
		memcpy(copy, &whole, cut);
		FL_RC(fl__request_read(&request, &reply, copy, cut, &directory, 1), -EBADMSG);
		free(copy);
	}
	for (size_t at = 0; at < offsetof(struct packet, text) + 20; at++)
		for (int bit = 0; bit < 8; bit++) {
			unsigned char *copy = malloc(size);
			memcpy(copy, &whole, size);
			copy[at] ^= (unsigned char)(1 << bit);
			int rc = fl__request_read(&request, &reply, copy, size, &directory, 1);
			/*
			 * A daemon, a group, a descriptor in place of the directory, another
			 * setting or name: accepted. Any other change is not.
			 */
			bool harmless =
			    (at == offsetof(struct packet, flags) && (bit == 0 || bit == 1 || bit == 7)) ||
			    (at >= offsetof(struct packet, settings) && at < offsetof(struct packet, text) + 6);
			assert_true(rc == -EBADMSG || rc == -EMFILE || rc == -ENOENT || rc == -EPROTO ||
			            (rc == 0 && harmless));
			free(copy);
		}
}
