/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring for many producers and consumers. What all queues promise: test_queues.c. */
#include "core/queue/mpmc.h"
#include "fl_seam.h"

FL_TEST(mpmc_refuse_says_why)
{
	fl_mpmc *q = NULL;
	int item = 7;
	FL_OK(fl_mpmc_create(&q, sizeof item, 2));
	FL_RC(fl__mpmc_refuse(q, q->head, true), -EAGAIN);
	const uint64_t first = q->head;
	FL_OK(fl_mpmc_try_put(q, &item));
	FL_RC(fl__mpmc_refuse(q, first, true), -EBUSY); /* the tail has gone on */
	FL_OK(fl_mpmc_try_get(q, &item));
	fl_mpmc_close(q);
	FL_RC(fl__mpmc_refuse(q, q->head, true), -EPIPE);
	fl_mpmc_free(q);
}

static unsigned turns;

static void count_turn(void)
{
	turns++;
}

/* 8 turns after the first failed claim, then twice as many each time, up to 256. */
FL_TEST(mpmc_claims_back_off)
{
	void (*const relax)(void) = fl__sys.relax;
	fl__sys.relax = count_turn;
	for (unsigned failed = 1, expected = 8; failed < 12; failed++, expected *= 2) {
		turns = 0;
		fl__mpmc_back_off(failed);
		assert_int_equal(turns, expected < 256 ? expected : 256);
	}
	fl__sys.relax = relax;
}

FL_TEST(mpmc_create_refuses_what_cannot_be)
{
	char somewhere;
	fl_mpmc *const untouched = (fl_mpmc *)(void *)&somewhere, *q = untouched;
	FL_RC(fl_mpmc_create(&q, 0, 1), -EINVAL);
	FL_RC(fl_mpmc_create(&q, 1, 0), -EINVAL);
	FL_RC(fl_mpmc_create(&q, 1, SIZE_MAX), -EOVERFLOW);
	FL_RC(fl_mpmc_create(&q, SIZE_MAX, 1), -EOVERFLOW);
	FL_RC(fl_mpmc_create(&q, SIZE_MAX - 9, 1), -EOVERFLOW);
	FL_RC(fl_mpmc_create(&q, PTRDIFF_MAX, 1), -EOVERFLOW);
	FL_RC(fl_mpmc_create(&q, 8, PTRDIFF_MAX / 16 + 1), -EOVERFLOW);
#if PTRDIFF_MAX > INT32_MAX /* else there may be as much */
	FL_RC(fl_mpmc_create(&q, 8, PTRDIFF_MAX / 16), -ENOMEM);
#endif
	assert_ptr_equal(q, untouched);
}

FL_TEST(mpmc_is_busy_while_another_stands_still)
{
	fl_mpmc *q = NULL;
	int item = 77;
	FL_OK(fl_mpmc_create(&q, sizeof(int), 1));
	struct fl_mpmc *ring = (struct fl_mpmc *)(void *)q; /* all that it is */
	struct fl__mpmc_claim claim = {0};
	FL_OK(fl__mpmc_claim_space(ring, 1, &claim));
	FL_RC(fl_mpmc_try_get(q, &item), -EBUSY);
	FL_MANY(-EBUSY, 0, fl_mpmc_try_get_many, q, &item, 1);
	assert_int_equal(item, 77);
	fl__mpmc_fill(ring, claim.slot, claim.at, &(int){1}, sizeof(int));
	FL_OK(fl__mpmc_claim_item(ring, 1, &claim));
	FL_RC(fl_mpmc_try_put(q, &(int){2}), -EBUSY);
	FL_MANY(-EBUSY, 0, fl_mpmc_try_put_many, q, &(int){2}, 1);
	fl__mpmc_drain(ring, claim.slot, claim.at, &item, sizeof item);
	FL_OK(fl_mpmc_try_put(q, &(int){2}));
	FL_RC(fl_mpmc_try_put(q, &(int){3}), -EAGAIN);
	fl_mpmc_close(q);
	FL_RC(fl_mpmc_try_put(q, &(int){3}), -EPIPE); /* closed counts before full */
	fl_mpmc_free(q);
}

FL_TEST(mpmc_full_and_closed_is_no_reason_to_sleep)
{
	struct fl_mpmc q;
	bool owes;
	FL_OK(fl__mpmc_init(&q, sizeof(int), 1, 0));
	FL_OK(fl__mpmc_put(&q, &(int){1}, sizeof(int), &owes));
	fl_mpmc_close(&q);
	assert_false(fl__mpmc_mark_full(&q));
	fl__mpmc_fini(&q);
}

FL_MPMC_OF(uint64_t, numbers)

FL_TEST(mpmc_typed_is_the_same)
{
	FL_SCOPED(numbers) *q = NULL;
	const uint64_t two[] = {2, 3};
	uint64_t got[4] = {0};
	FL_OK(numbers_create(&q, 3));
	FL_OK(numbers_try_put(q, 1));
	FL_MANY(0, 2, numbers_try_put_many, q, two, 2);
	FL_RC(numbers_try_put(q, 4), -EAGAIN);
	assert_int_equal(numbers_length(q), 3);
	fl_mpmc *untyped = numbers_untyped(q);
	assert_int_equal(fl_mpmc_length(untyped), 3);
	FL_OK(fl_mpmc_try_get(untyped, got));
	FL_MANY(0, 2, numbers_try_get_many, q, got + 1, 3);
	assert_true(got[0] == 1 && got[1] == 2 && got[2] == 3);
	FL_RC(numbers_try_get(q, got), -EAGAIN);
	numbers_close(q);
	assert_true(numbers_is_closed(q) && fl_mpmc_is_closed(untyped));
	FL_MANY(-EPIPE, 0, fl_mpmc_try_get_many, untyped, got, 1);
	FL_MANY(-EPIPE, 0, fl_mpmc_try_put_many, untyped, two, 2);
	FL_RC(numbers_try_get(q, got), -EPIPE);
	FL_RC(numbers_create(&q, 0), -EINVAL);
	numbers_free(NULL);
}
