/* SPDX-License-Identifier: BSD-2-Clause */
/* FL_QUEUE_OF: tests the effect of every function that it makes, not only that it compiles. */
#include "fl_blocked.h"

struct job {
	char name[13];
	double weight;
	short id;
};

FL_QUEUE_OF(struct job, job_queue)
FL_QUEUE_OF(int, int_queue)
FL_QUEUE_OF(char, char_queue)
typedef const char *text;
FL_QUEUE_OF(text, text_queue)
struct wide {
	_Alignas(32) double lanes[4];
};
FL_QUEUE_OF(struct wide, wide_queue)

static struct job make_job(short id)
{
	struct job job = {"job", id * 0.5, id};
	job.name[3] = (char)('a' + id);
	return job;
}

static void check_job(const struct job *job, short id)
{
	const struct job expected = make_job(id);
	assert_string_equal(job->name, expected.name);
	assert_true(job->weight == expected.weight);
	assert_int_equal(job->id, id);
}

FL_TEST(queue_of_create_passes_size_config_and_errors)
{
	const fl_queue_config config = {.capacity = 3};
	job_queue *q = NULL;
	FL_RC(job_queue_create(&q, &(fl_queue_config){.order = (fl_queue_order)9}), -EINVAL);
	FL_RC(job_queue_create(&q, &(fl_queue_config){.capacity = PTRDIFF_MAX / sizeof(struct job) + 1}), -EOVERFLOW);
	seam_fail_allocs(0, 1);
	FL_RC(job_queue_create(&q, &config), -ENOMEM);
	seam_heal();
	assert_null(q);
	FL_OK(job_queue_create(&q, &config));
	assert_int_equal(job_queue_capacity(q), 3);
	assert_int_equal(fl_queue_capacity(job_queue_untyped(q)), 3);
	job_queue_free(q);
	job_queue_free(NULL);
	FL_SCOPED(job_queue) *by_default = NULL;
	FL_OK(job_queue_create(&by_default, NULL));
	assert_int_equal(job_queue_capacity(by_default), 1024);
}

static void drop_wide(void *item, void *arg)
{
}

static int compare_wide(const void *a, const void *b, void *arg)
{
	return memcmp(a, b, sizeof(struct wide));
}

/* Items that are aligned more than a queue's memory are copied, but never shown in place. */
FL_TEST(queue_of_items_with_a_large_alignment)
{
	static const fl_queue_config all[] = {{.capacity = 3},
	                                      {.capacity = 3, .one_producer = true, .one_consumer = true},
	                                      {.capacity = FL_UNBOUNDED},
	                                      {.order = FL_LIFO}};
	const struct wide item = {{1, 2, 3, 4}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		FL_SCOPED(wide_queue) *q = NULL;
		struct wide got[2] = {{{0}}};
		FL_OK(wide_queue_create(&q, &all[i]));
		FL_OK(wide_queue_put(q, item));
		FL_OK(wide_queue_put(q, item));
		FL_OK(wide_queue_get(q, &got[0]));
		FL_OK(wide_queue_get(q, &got[1]));
		assert_memory_equal(&got[0], &item, sizeof item);
		assert_memory_equal(&got[1], &item, sizeof item);
	}
	wide_queue *q = NULL;
	FL_RC(wide_queue_create(&q, &(fl_queue_config){.drop = drop_wide}), -EINVAL);
	FL_RC(wide_queue_create(&q, &(fl_queue_config){.order = FL_PRIORITY, .compare = compare_wide}), -EINVAL);
	assert_null(q);
}

FL_TEST(queue_of_free_and_scoped_give_everything_back)
{
	long before = seam_live_allocs();
	job_queue *q = NULL;
	FL_OK(job_queue_create(&q, NULL));
	assert_true(seam_live_allocs() > before);
	job_queue_free(q);
	assert_int_equal(seam_live_allocs(), before);
	{
		FL_SCOPED(job_queue) *scoped = NULL;
		FL_OK(job_queue_create(&scoped, NULL));
		assert_true(seam_live_allocs() > before);
	}
	assert_int_equal(seam_live_allocs(), before);
}

FL_TEST(queue_of_one_item)
{
	FL_SCOPED(job_queue) *q = NULL;
	FL_OK(job_queue_create(&q, &(fl_queue_config){.capacity = 3}));
	struct job job = {"none", 0, 0};
	FL_RC(job_queue_try_get(q, &job), -EAGAIN);
	FL_RC(job_queue_get_until(q, &job, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(job_queue_put(q, make_job(1)));
	FL_OK(job_queue_try_put(q, make_job(2)));
	assert_int_equal(job_queue_length(q), 2);
	FL_OK(job_queue_put_until(q, make_job(3), FL_FOREVER, NULL));
	FL_RC(job_queue_try_put(q, make_job(4)), -EAGAIN);
	FL_RC(job_queue_put_until(q, make_job(4), FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(job_queue_length(q), 3);
	FL_OK(job_queue_get(q, &job));
	check_job(&job, 1);
	FL_OK(job_queue_try_get(q, &job));
	check_job(&job, 2);
	FL_OK(job_queue_get_until(q, &job, FL_FOREVER, NULL));
	check_job(&job, 3);
	FL_RC(job_queue_get_until(q, &job, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCEL_SCOPE(fl_test_requested);
	FL_RC(job_queue_get(q, &job), -ECANCELED);
	for (short i = 0; i < 3; i++)
		FL_OK(job_queue_put(q, make_job(i)));
	FL_RC(job_queue_put(q, make_job(4)), -ECANCELED);
	FL_RC(job_queue_put_until(q, make_job(4), FL_FOREVER, fl_test_requested), -ECANCELED);
	check_job(&job, 3);
}

FL_TEST(queue_of_many_items)
{
	FL_SCOPED(int_queue) *q = NULL;
	FL_OK(int_queue_create(&q, &(fl_queue_config){.capacity = 6}));
	int out[8] = {0};
	size_t count = 0;
	FL_MANY(0, 2, int_queue_put_many, q, (const int[]){1, 2}, 2);
	FL_MANY(0, 2, int_queue_try_put_many, q, (const int[]){3, 4}, 2);
	FL_RC(int_queue_put_many_until(q, (const int[]){5, 6, 7}, 3, &count, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(count, 2);
	FL_MANY(-EAGAIN, 0, int_queue_try_put_many, q, (const int[]){8}, 1);
	FL_MANY(0, 2, int_queue_get_many, q, out, 2);
	FL_MANY(0, 2, int_queue_try_get_many, q, out + 2, 2);
	FL_OK(int_queue_get_many_until(q, out + 4, 4, &count, FL_NO_WAIT, NULL));
	assert_int_equal(count, 2);
	for (int i = 0; i < 6; i++)
		assert_int_equal(out[i], i + 1);
	FL_MANY(-EAGAIN, 0, int_queue_try_get_many, q, out, 8);
	FL_RC(int_queue_get_many_until(q, out, 8, &count, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(int_queue_put_many_until(q, (const int[]){9}, 1, &count, FL_FOREVER, NULL));
	int_queue_close(q);
	FL_RC(int_queue_put_many_until(q, (const int[]){9}, 1, &count, FL_FOREVER, NULL), -EPIPE);
	FL_MANY(0, 1, int_queue_get_many, q, out, 8);
	FL_RC(int_queue_get_many_until(q, out, 8, &count, FL_FOREVER, NULL), -EPIPE);
	FL_SCOPED(int_queue) *open = NULL;
	FL_OK(int_queue_create(&open, &(fl_queue_config){.capacity = 1}));
	FL_RC(int_queue_get_many_until(open, out, 8, &count, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(int_queue_put_many_until(open, out, 2, &count, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(count, 1);
}

FL_TEST(queue_of_close_and_close_now)
{
	FL_SCOPED(job_queue) *q = NULL, *other = NULL;
	struct job job;
	FL_OK(job_queue_create(&q, NULL));
	FL_OK(job_queue_put(q, make_job(1)));
	assert_false(job_queue_is_closed(q));
	job_queue_close(q);
	assert_true(job_queue_is_closed(q));
	FL_RC(job_queue_put(q, make_job(2)), -EPIPE);
	FL_OK(job_queue_get(q, &job));
	check_job(&job, 1);
	FL_RC(job_queue_get(q, &job), -EPIPE);

	FL_OK(job_queue_create(&other, NULL));
	FL_OK(job_queue_put(other, make_job(1)));
	FL_OK(job_queue_put(other, make_job(2)));
	assert_int_equal(job_queue_close_now(other), 2);
	assert_int_equal(job_queue_length(other), 0);
	assert_true(job_queue_is_closed(other));
	FL_OK(job_queue_join_until(other, FL_NO_WAIT, FL_SHIELDED));
}

FL_TEST(queue_of_task_done_and_join)
{
	FL_SCOPED(int_queue) *q = NULL;
	FL_OK(int_queue_create(&q, NULL));
	int item;
	FL_OK(int_queue_put(q, 1));
	FL_RC(int_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(int_queue_unfinished(q), 1);
	FL_RC(int_queue_join_until(q, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(int_queue_join_until(q, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCELS_IN_SCOPE(int_queue_join(q));
	FL_OK(int_queue_get(q, &item));
	int_queue_task_done(q);
	assert_int_equal(int_queue_unfinished(q), 0);
	FL_OK(int_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	FL_OK(int_queue_join(q));
	FL_OK(int_queue_join_until(q, FL_NO_WAIT, NULL));
	FL_RC(int_queue_try_task_done(q), -EINVAL);
	FL_PANICS(int_queue_task_done(q));
	assert_string_equal(fl_test_panic.function, "fl_queue_task_done");
}

FL_TEST(queue_of_small_things_and_pointers)
{
	FL_SCOPED(char_queue) *letters = NULL;
	FL_OK(char_queue_create(&letters, &(fl_queue_config){.capacity = 5}));
	char out[6] = {0};
	FL_MANY(0, 5, char_queue_put_many, letters, "hello", 5);
	FL_MANY(0, 5, char_queue_get_many, letters, out, 5);
	assert_string_equal(out, "hello");
	FL_SCOPED(text_queue) *texts = NULL;
	FL_OK(text_queue_create(&texts, NULL));
	text got = NULL;
	FL_OK(text_queue_put(texts, out));
	FL_OK(text_queue_put_until(texts, NULL, FL_NO_WAIT, NULL)); /* no value is reserved */
	FL_OK(text_queue_get(texts, &got));
	assert_ptr_equal(got, out);
	FL_OK(text_queue_get(texts, &got));
	assert_null(got);
}

/* FL_ON_QUEUE with a typed queue: the object is the untyped queue. */
FL_TEST(queue_of_in_wait_any)
{
	FL_SCOPED(int_queue) *q = NULL;
	FL_OK(int_queue_create(&q, &(fl_queue_config){.capacity = 1}));
	fl_queue *untyped = int_queue_untyped(q);
	FL_RC(FL_WAIT_ANY(FL_ON_QUEUE(untyped), FL_ON_QUEUE_SPACE(untyped)), 1);
	FL_OK(int_queue_put(q, 1));
	FL_RC(FL_WAIT_ANY(FL_ON_QUEUE(untyped), FL_ON_QUEUE_SPACE(untyped)), 0);
}

FL_QUEUE_OF(char *, string_queue)

/* The items of an array of pointers are const, not what they point to. */
FL_TEST(queue_of_pointers)
{
	char one[] = "one", two[] = "two";
	char *both[] = {one, two}, *got[2] = {NULL, NULL};
	FL_SCOPED(string_queue) *q = NULL;
	FL_OK(string_queue_create(&q, NULL));
	FL_MANY(0, 2, string_queue_put_many, q, both, 2);
	FL_MANY(0, 2, string_queue_get_many, q, got, 2);
	assert_ptr_equal(got[0], one);
	assert_ptr_equal(got[1], two);
}
