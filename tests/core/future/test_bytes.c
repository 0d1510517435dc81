/* SPDX-License-Identifier: BSD-2-Clause */
/* The handle of memory of any length. With executors: test_executor_bytes.c. */
#include "fl_child.h"
#include "fl_seam.h"

enum { MIB = 1 << 20, ALIGNMENT = 64 };

static const size_t sizes[] = {0, 1, 63, 64, 100, 65535, 65536, 65537, (size_t)64 * MIB};

/* A case at whose end all memory is free again. */
static void balanced(void (*body)(void))
{
	const long live = seam_live_allocs();
	body();
	assert_int_equal(seam_live_allocs(), live);
}

#define BYTES_TEST(name) FL_TEST_WITH(name, balanced, void)

static char at(const fl_bytes *b, size_t i)
{
	return ((const char *)b->data)[i];
}

static void assert_bytes(const fl_bytes *b, const char *text)
{
	assert_int_equal(b->size, strlen(text));
	assert_string_equal(b->data, text);
}

static void assert_none(const fl_bytes *b)
{
	const fl_bytes none = {0};
	assert_memory_equal(b, &none, sizeof none);
}

BYTES_TEST(bytes_of_any_size_are_aligned_and_end_with_zero)
{
	FL_EACH (i, sizes) {
		FL_SCOPED(fl_bytes) b = {0};
		FL_OK(fl_bytes_alloc(&b, sizes[i], 1));
		assert_int_equal(b.size, sizes[i]);
		assert_int_equal((uintptr_t)b.data % ALIGNMENT, 0);
		assert_int_equal(at(&b, b.size), 0);
		memset(b.data, 'x', b.size);
		assert_int_equal(at(&b, b.size), 0);
	}
}

BYTES_TEST(bytes_free_zeroes_the_handle)
{
	fl_bytes b = {0};
	fl_bytes_free(&b);
	FL_OK(fl_bytes_alloc(&b, 3, 4));
	assert_int_equal(b.size, 12);
	fl_bytes_free(&b);
	assert_none(&b);
	fl_bytes_free(&b);
}

BYTES_TEST(bytes_alloc_frees_what_the_handle_had)
{
	FL_SCOPED(fl_bytes) b = {0};
	const long live = seam_live_allocs();
	FL_OK(fl_bytes_alloc(&b, 10, 1));
	FL_OK(fl_bytes_alloc(&b, 20, 1));
	assert_int_equal(b.size, 20);
	assert_int_equal(seam_live_allocs(), live + 1);
}

BYTES_TEST(bytes_above_the_limit_are_refused)
{
	FL_SCOPED(fl_bytes) b = {0};
	const fl_bytes huge = {.data = &b, .size = FL_TASK_SIZE_MAX + 1};
	FL_OK(fl_bytes_append(&b, "kept", 4));
	FL_RC(fl_bytes_alloc(&b, SIZE_MAX / 2, 3), -E2BIG);
	FL_RC(fl_bytes_alloc(&b, 3, SIZE_MAX / 2), -E2BIG);
	FL_RC(fl_bytes_alloc(&b, FL_TASK_SIZE_MAX + 1, 1), -E2BIG);
	FL_RC(fl_bytes_resize(&b, FL_TASK_SIZE_MAX + 1), -E2BIG);
	FL_RC(fl_bytes_append(&b, "", FL_TASK_SIZE_MAX), -E2BIG);
	FL_RC(fl_bytes_append(&b, "", SIZE_MAX), -E2BIG);
	FL_RC(fl_bytes_adopt(&b, NULL, FL_TASK_SIZE_MAX + 1, NULL, NULL), -E2BIG);
	FL_RC(fl_bytes_ref(&b, &huge), -E2BIG);
	assert_bytes(&b, "kept");
}

BYTES_TEST(bytes_resize_keeps_the_contents)
{
	FL_SCOPED(fl_bytes) b = {0};
	FL_OK(fl_bytes_resize(&b, 5));
	memcpy(b.data, "hello", 5);
	void *const data = b.data;
	FL_OK(fl_bytes_resize(&b, 4));
	assert_bytes(&b, "hell");
	FL_OK(fl_bytes_resize(&b, 0));
	assert_bytes(&b, "");
	FL_OK(fl_bytes_resize(&b, 5));
	assert_ptr_equal(b.data, data);
	memcpy(b.data, "hello", 5);
	FL_OK(fl_bytes_resize(&b, 65537));
	assert_memory_equal(b.data, "hello", 5);
	assert_int_equal(at(&b, 65537), 0);
}

BYTES_TEST(bytes_grow_by_doubling)
{
	FL_SCOPED(fl_bytes) b = {0};
	const void *before = NULL;
	int moves = 0;
	for (int i = 0; i < 100000; i++) {
		const char c = (char)i;
		FL_OK(fl_bytes_append(&b, &c, 1));
		moves += b.data != before;
		before = b.data;
	}
	FL_IN_RANGE(moves, 2, 18);
	for (int i = 0; i < 100000; i++)
		FL_CHECK(at(&b, (size_t)i) == (char)i);
	assert_int_equal(at(&b, b.size), 0);
}

BYTES_TEST(bytes_append_their_own)
{
	FL_SCOPED(fl_bytes) b = {0};
	FL_OK(fl_bytes_append(&b, NULL, 0));
	assert_bytes(&b, "");
	FL_OK(fl_bytes_append(&b, "ab", 2));
	for (int i = 0; i < 12; i++)
		FL_OK(fl_bytes_append(&b, b.data, b.size));
	assert_int_equal(b.size, 8192);
	assert_memory_equal((char *)b.data + 8188, "abab", 5);
}

BYTES_TEST(bytes_that_are_borrowed_are_copied)
{
	char text[] = "borrowed";
	fl_bytes b = fl_bytes_of_text(text), other = {0};
	assert_ptr_equal(b.data, text);
	assert_int_equal(b.size, 8);
	FL_OK(fl_bytes_ref(&other, &b));
	assert_ptr_not_equal(other.data, text);
	assert_bytes(&other, text);
	fl_bytes_free(&other);
	FL_OK(fl_bytes_append(&b, "!", 1));
	assert_bytes(&b, "borrowed!");
	assert_string_equal(text, "borrowed");
	fl_bytes_free(&b);
	b = fl_bytes_of_text(text);
	FL_OK(fl_bytes_resize(&b, 3));
	assert_bytes(&b, "bor");
	assert_string_equal(text, "borrowed");
	fl_bytes_free(&b);
	b = fl_bytes_of_text(text);
	FL_OK(fl_bytes_ref(&b, &b));
	assert_ptr_not_equal(b.data, text);
	fl_bytes_free(&b);
	b = fl_bytes_of_text(text);
	fl_bytes_free(&b);
	assert_none(&b);
}

BYTES_TEST(bytes_that_are_shared_are_copied_before_a_change)
{
	FL_SCOPED(fl_bytes) a = {0}, b = {0}, none = {0};
	FL_OK(fl_bytes_append(&a, "shared", 6));
	FL_OK(fl_bytes_ref(&b, &a));
	FL_OK(fl_bytes_ref(&b, &b));
	assert_ptr_equal(b.data, a.data);
	FL_OK(fl_bytes_resize(&b, 5));
	assert_ptr_not_equal(b.data, a.data);
	assert_bytes(&a, "shared");
	assert_bytes(&b, "share");
	FL_OK(fl_bytes_ref(&b, &a));
	fl_bytes_free(&a);
	void *const data = b.data;
	FL_OK(fl_bytes_resize(&b, 5));
	assert_ptr_equal(b.data, data); /* the only handle */
	assert_bytes(&b, "share");
	FL_OK(fl_bytes_ref(&b, &none));
	assert_none(&b);
}

struct dropped {
	int count;
	void *data;
};

static void note_drop(void *data, void *user)
{
	struct dropped *dropped = user;
	dropped->count++;
	dropped->data = data;
}

BYTES_TEST(bytes_that_are_adopted_are_dropped_once)
{
	struct dropped dropped = {0, NULL};
	char text[] = "mine";
	FL_SCOPED(fl_bytes) a = {0}, b = {0};
	FL_OK(fl_bytes_append(&a, "freed", 5));
	FL_OK(fl_bytes_adopt(&a, text, 4, note_drop, &dropped));
	assert_ptr_equal(a.data, text);
	FL_OK(fl_bytes_ref(&b, &a));
	assert_ptr_equal(b.data, text);
	fl_bytes_free(&a);
	assert_int_equal(dropped.count, 0);
	fl_bytes_free(&b);
	assert_int_equal(dropped.count, 1);
	assert_ptr_equal(dropped.data, text);
	FL_OK(fl_bytes_adopt(&a, text, 4, NULL, NULL));
	fl_bytes_free(&a);
}

BYTES_TEST(bytes_that_are_adopted_are_not_changed)
{
	struct dropped dropped = {0, NULL};
	char text[] = "mine";
	FL_SCOPED(fl_bytes) b = {0};
	FL_OK(fl_bytes_adopt(&b, text, 4, note_drop, &dropped));
	FL_OK(fl_bytes_resize(&b, 0));
	assert_int_equal(dropped.count, 1);
	assert_bytes(&b, "");
	assert_string_equal(text, "mine");
	FL_OK(fl_bytes_adopt(&b, text, 4, note_drop, &dropped));
	FL_OK(fl_bytes_append(&b, "s", 1));
	assert_int_equal(dropped.count, 2);
	assert_bytes(&b, "mines");
}

BYTES_TEST(bytes_stay_as_they_are_without_memory)
{
	struct dropped dropped = {0, NULL};
	FL_SCOPED(fl_bytes) b = {0}, other = {0};
	const fl_bytes text = fl_bytes_of_text("borrowed");
	FL_OK(fl_bytes_append(&b, "kept", 4));
	FL_OK(fl_bytes_ref(&other, &b));
	SEAM_NO_MEMORY(fl_bytes_alloc(&b, 100, 1), -ENOMEM);
	SEAM_NO_MEMORY(fl_bytes_adopt(&b, &dropped, 1, note_drop, &dropped), -ENOMEM);
	SEAM_NO_MEMORY(fl_bytes_ref(&b, &text), -ENOMEM);
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(fl_promise_create(&p, sizeof text, FL_BYTES_DROP, &f));
	FL_OK(fl_promise_set(p, &text));
	SEAM_NO_MEMORY(fl_future_get(f, &b, sizeof b), -ENOMEM);
	SEAM_NO_MEMORY(fl_bytes_resize(&b, 3), -ENOMEM); /* shared */
	assert_ptr_equal(b.data, other.data);
	fl_bytes_free(&other);
	SEAM_NO_MEMORY(fl_bytes_resize(&b, 5), -ENOMEM);
	SEAM_NO_MEMORY(fl_bytes_append(&b, "more", 4), -ENOMEM);
	assert_bytes(&b, "kept");
	assert_int_equal(dropped.count, 0);
}

BYTES_TEST(bytes_are_an_array)
{
	FL_SCOPED(fl_bytes) b = {0};
	int sum = 0, n = 0;
	FL_BYTES_EACH (int, v, b)
		sum += *v;
	assert_int_equal(FL_BYTES_COUNT(int, b), 0);
	for (int i = 1; i <= 4; i++)
		FL_OK(fl_bytes_append(&b, &i, sizeof i));
	FL_OK(fl_bytes_append(&b, "x", 1)); /* less than an int is no int */
	FL_BYTES_EACH (int, v, b)
		FL_BYTES_EACH (const int, w, b)
			sum += *v * *w, n++;
	assert_int_equal(FL_BYTES_COUNT(int, b), 4);
	assert_int_equal(n, 16);
	assert_int_equal(sum, 100);
}

static void *read_and_free(void *arg)
{
	fl_bytes *b = arg, other = {0};
	FL_OK(fl_bytes_ref(&other, b));
	FL_CHECK(at(b, b->size - 1) == 'z');
	fl_bytes_free(b);
	FL_CHECK(at(&other, 0) == 'z');
	/* after the last of the others, in place: ThreadSanitizer sees a missing order */
	FL_OK(fl_bytes_resize(&other, other.size));
	memset(other.data, 'w', other.size);
	fl_bytes_free(&other);
	return NULL;
}

BYTES_TEST(bytes_are_freed_by_the_last_of_several_threads)
{
	enum { THREADS = 4 };
	for (int round = 0; round < 100; round++) {
		fl_bytes b[THREADS] = {{0}};
		pthread_t thread[THREADS];
		FL_OK(fl_bytes_alloc(&b[0], 4096, 1));
		memset(b[0].data, 'z', b[0].size);
		for (int i = 1; i < THREADS; i++)
			FL_OK(fl_bytes_ref(&b[i], &b[0]));
		FL_EACH (i, thread)
			FL_OK(pthread_create(&thread[i], NULL, read_and_free, &b[i]));
		FL_EACH (i, thread)
			FL_OK(pthread_join(thread[i], NULL));
	}
}

struct page {
	fl_bytes text;
	int status;
};

FL_TASK_STATIC(take_and_return, fl_bytes, fl_bytes, .version = 3)
{
	return fl_bytes_ref(result, arg);
}

FL_TASK_STATIC(take_and_return_structs, struct page, struct page, .drop_arg = FL_BYTES_DROP)
{
	result->status = arg->status;
	return 0;
}

FL_TEST(bytes_are_declared_by_the_word)
{
	assert_ptr_equal(take_and_return.drop_arg, FL_BYTES_DROP);
	assert_ptr_equal(take_and_return.drop_result, FL_BYTES_DROP);
	assert_int_equal(take_and_return.version, 3);
	assert_int_equal(take_and_return.arg_size, 32);
	assert_ptr_equal(take_and_return_structs.drop_arg, FL_BYTES_DROP);
	assert_null(take_and_return_structs.drop_result);
}

FL_TEST(bytes_are_not_declared_by_a_smaller_type)
{
	enum { SHORT = sizeof(fl_bytes) - 1 };
	const fl_task_type short_arg = {.name = "short", .arg_size = SHORT, .drop_arg = FL_BYTES_DROP};
	const fl_task_type short_result = {.name = "short", .result_size = SHORT, .drop_result = FL_BYTES_DROP};
	fl_task_entry entry = {&short_arg, NULL};
	fl_promise *p;
	fl_future *f;
	FL_PANICS_OF("short", &short_arg, fl_task_register(&entry));
	entry.type = &short_result;
	FL_PANICS_OF("short", &short_result, fl_task_register(&entry));
	FL_RC(fl_promise_create(&p, SHORT, FL_BYTES_DROP, &f), -EINVAL);
}
