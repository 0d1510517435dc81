/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring for one producer and one consumer. What all queues promise: test_queues.c. */
#include "fl_seam.h"

FL_TEST(spsc_create_refuses_what_cannot_be)
{
	char somewhere;
	fl_spsc *const untouched = (fl_spsc *)(void *)&somewhere, *q = untouched;
	FL_RC(fl_spsc_create(&q, 0, 1), -EINVAL);
	FL_RC(fl_spsc_create(&q, 1, 0), -EINVAL);
	FL_RC(fl_spsc_create(&q, 1, SIZE_MAX), -EOVERFLOW);
	FL_RC(fl_spsc_create(&q, SIZE_MAX, 1), -EOVERFLOW);
	FL_RC(fl_spsc_create(&q, 1, PTRDIFF_MAX), -EOVERFLOW); /* there is one slot more */
	FL_RC(fl_spsc_create(&q, 48, PTRDIFF_MAX / 64), -EOVERFLOW);
#if PTRDIFF_MAX > INT32_MAX /* else there may be as much */
	FL_RC(fl_spsc_create(&q, 48, PTRDIFF_MAX / 64 - 2), -ENOMEM);
#endif
	assert_ptr_equal(q, untouched);
	fl_spsc_free(NULL);
}

FL_SPSC_OF(uint64_t, numbers)

FL_TEST(spsc_typed_is_the_same)
{
	FL_SCOPED(numbers) *q = NULL;
	static const uint64_t three[] = {1, 2, 3};
	uint64_t got[4];
	FL_OK(numbers_create(&q, 3));
	FL_OK(numbers_try_put(q, UINT64_MAX));
	assert_int_equal(numbers_length(q), 1);
	FL_OK(numbers_try_get(q, got));
	assert_true(got[0] == UINT64_MAX);
	FL_RC(numbers_try_get(q, got), -EAGAIN);
	FL_MANY(0, 3, numbers_try_put_many, q, three, 3);
	FL_RC(numbers_try_put(q, 4), -EAGAIN);
	FL_MANY(0, 3, numbers_try_get_many, q, got, 4);
	assert_memory_equal(got, three, sizeof three);
	fl_spsc *untyped = numbers_untyped(q);
	FL_MANY(0, 2, fl_spsc_try_put_many, untyped, three, 2);
	assert_int_equal(fl_spsc_length(untyped), 2);
	FL_MANY(0, 2, fl_spsc_try_get_many, untyped, got, 4);
	FL_RC(fl_spsc_try_get(untyped, got), -EAGAIN);
	for (int i = 0; i < 3; i++)
		FL_OK(fl_spsc_try_put(untyped, &three[i]));
	FL_RC(fl_spsc_try_put(untyped, &three[0]), -EAGAIN);
	numbers_free(NULL);
}
