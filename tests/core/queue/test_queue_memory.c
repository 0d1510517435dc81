/* SPDX-License-Identifier: BSD-2-Clause */
/* A queue gives back all memory, also where an allocation fails. */
#include "fl_account.h"

ACCOUNT_OF_PROCESS(account);

enum { ITEM = 300, MANY = 1000 }; /* an overwriting queue allocates for items of more than 256 bytes */

static int compare_first(const void *a, const void *b, void *arg)
{
	return *(const unsigned char *)a - *(const unsigned char *)b;
}

static const fl_queue_config kinds[] = {
    {.capacity = 8},
    {.capacity = 8, .one_producer = true, .one_consumer = true},
    {.capacity = FL_UNBOUNDED},
    {.capacity = FL_UNBOUNDED, .one_consumer = true},
    {.capacity = FL_RENDEZVOUS},
    {.capacity = 8, .order = FL_LIFO},
    {.capacity = FL_UNBOUNDED, .order = FL_LIFO},
    {.capacity = FL_UNBOUNDED, .order = FL_PRIORITY, .compare = compare_first},
    {.capacity = 8, .when_full = FL_OVERWRITE},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/*
 * Puts items until the queue is full, or many, and gets all but some. Returns the last put's
 * result.
 */
static int use(fl_queue *q)
{
	enum { LEFT = 5 };
	unsigned char item[ITEM] = {0};
	int rc = 0, put = 0;
	for (; put < MANY && rc == 0; put++)
		rc = fl_queue_try_put(q, item);
	while (fl_queue_length(q) > LEFT && fl_queue_try_get(q, item) == 0)
		;
	return rc;
}

/* The thread's hazard pointers, which belong to no queue. */
static void make_hazards(void)
{
	FL_SCOPED(fl_queue) *q = FL_TEST_QUEUE_OF(ITEM, &(fl_queue_config){.capacity = FL_UNBOUNDED});
	(void)use(q);
}

FL_TEST(queue_gives_all_memory_back)
{
	make_hazards();
	const long before = account_live(&account);
	for (int i = 0; i < KINDS; i++) {
		fl_queue *q = FL_TEST_QUEUE_OF(ITEM, &kinds[i]);
		const int rc = use(q);
		FL_OK_OR(rc, -EAGAIN);
		assert_true(account_live(&account) > before);
		fl_queue_free(q);
		assert_int_equal(account_live(&account), before);
	}
}

FL_TEST(queue_may_be_out_of_memory)
{
	make_hazards();
	const long before = account_live(&account);
	for (int i = 0; i < KINDS; i++) {
		bool created = false, used = false;
		for (long step = 0; !used; step++) {
			account_fail_at(&account, step);
			fl_queue *q = NULL;
			const int rc = fl_queue_create(&q, ITEM, &kinds[i]);
			FL_OK_OR(rc, -ENOMEM);
			assert_true(rc == 0 || !created); /* once the step is beyond the creation */
			created = rc == 0;
			if (created) {
				const int put = use(q);
				assert_true(put == 0 || put == -EAGAIN || put == -ENOMEM);
				used = !account_has_failed(&account);
			}
			fl_queue_free(q);
			assert_int_equal(account_live(&account), before);
		}
	}
	account_fail_at(&account, -1);
}
