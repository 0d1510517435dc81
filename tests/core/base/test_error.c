/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_test.h"

#include "core/base/error.h"

FL_TEST(error_names_what_has_a_name)
{
	assert_string_equal(fl_error_name(0), "0");
	assert_string_equal(fl_error_name(-EPIPE), "EPIPE");
	assert_string_equal(fl_error_name(-ETIMEDOUT), "ETIMEDOUT");
	assert_string_equal(fl_error_name(-ECANCELED), "ECANCELED");
	assert_string_equal(fl_error_name(-EOWNERDEAD), "EOWNERDEAD");
	assert_string_equal(fl_error_name(-EAGAIN), "EAGAIN");
	assert_string_equal(fl_error_name(FL_ETASK), "FL_ETASK");
}

FL_TEST(error_name_of_nothing_is_a_question)
{
	static const int nameless[] = {1, EPIPE, INT_MAX, INT_MIN, -4095, -4096, -3000, FL_ETASK - 1, FL_ETASK + 1};
	FL_EACH (i, nameless)
		assert_string_equal(fl_error_name(nameless[i]), "E?");
}

FL_TEST(error_text_is_a_sentence)
{
	assert_string_equal(fl_error_text(-EPIPE), "Closed or broken");
	assert_string_equal(fl_error_text(-ETIMEDOUT), "Timed out: a deadline has passed");
	assert_string_equal(fl_error_text(-EISDIR), strerror(EISDIR));
	assert_string_equal(fl_error_text(EIO), "a positive number: an error is a negative errno");
	assert_string_equal(fl_error_text(0), "Success");
	assert_string_equal(fl_error_text(FL_ETASK), "the task failed");
	for (int rc = -4200; rc < 10; rc++)
		assert_true(strlen(fl_error_text(rc)) > 0);
	assert_true(strlen(fl_error_text(INT_MIN)) > 0);
	assert_true(strlen(fl_error_text(INT_MAX)) > 0);
}

/* Errors that mean more in the library than in the system have a text of their own. */
FL_TEST(error_text_is_what_the_library_means)
{
	static const int own[] = {E2BIG,           EALREADY,        EBADMSG,      EBUSY,      EDEADLK,     EEXIST,
	                          EFBIG,           EMSGSIZE,        ENAMETOOLONG, ENOBUFS,    ENODATA,     ENOENT,
	                          ENOSPC,          ENOTRECOVERABLE, EOVERFLOW,    EOWNERDEAD, EPIPE,       EPROTO,
	                          EPROTONOSUPPORT, EROFS,           ESTALE,       ETIMEDOUT,  ETOOMANYREFS};
	FL_EACH (i, own) {
		assert_string_not_equal(fl_error_text(-own[i]), strerror(own[i]));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(fl_error_text(-own[i]), fl_error_text(-own[j]));
	}
}

FL_TEST(error_of_a_users_function_is_described)
{
	char text[64];
	assert_string_equal(fl__error_describe(-EPIPE, text), fl_error_text(-EPIPE));
	assert_string_equal(fl__error_describe(EIO, text), "5: an error is a negative errno (-EIO)");
	assert_string_equal(fl__error_describe(INT_MAX, text), "2147483647: an error is a negative errno");
	fl_test_contains(fl__error_describe(ENOTRECOVERABLE, text),
	                 ": an error is a negative errno (-ENOTRECOVERABLE)");
}

FL_TEST(error_etask_is_no_errno)
{
	for (int e = 0; e < 4096; e++)
		assert_int_not_equal(-e, FL_ETASK);
	assert_string_not_equal(fl_error_text(FL_ETASK), fl_error_text(-EINVAL));
}

FL_TEST(version_is_the_headers)
{
	unsigned major, minor, patch;
	assert_string_equal(fl_version(), FL_VERSION);
	assert_int_equal(sscanf(fl_version(), "%u.%u.%u", &major, &minor, &patch), 3);
	assert_ptr_equal(fl_version(), fl_version());
}
