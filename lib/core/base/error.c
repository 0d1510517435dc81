/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and texts of errors, and the version of the library. */
#include "error.h"
#include "../os/errors.h"
#include "sys.h"
#include <fairlead/version.h>
#include <stdio.h>
#include <string.h>

const char *fl_version(void)
{
	return FL_VERSION;
}

#if defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
static const char *error_name(int number)
{
	return strerrorname_np(number);
}

static const char *error_text(int number)
{
	return strerrordesc_np(number);
}
#else
static const char *error_name(int number)
{
	switch (number) {
	case 0:
		return "0";
#define E(name)                                                                                                        \
	case name:                                                                                                     \
		return #name;
		FL__ERRORS(E)
#undef E
	default:
		return NULL;
	}
}

/* Safe among threads, because the result of musl's strerror() is a constant string. */
static const char *error_text(int number)
{
	return number == 0 ? "Success" : error_name(number) ? strerror(number) : NULL;
}
#endif

/*
 * The library's own texts. Most of them replace a text of the system that names only one of several
 * causes, or a wrong one. Because system calls return these errors as well, each text covers both
 * the causes in the library and those in the system. The other texts are for errors for which some
 * systems have none.
 */
static const struct {
	int number;
	const char *text;
} error_own_texts[] = {
    {E2BIG, "Argument or result too large, or argument list too long"},
    {EALREADY, "Already done, or already begun"},
    {EBADMSG, "Damaged or unknown data"},
    {EBUSY, "Busy: in use"},
    {ECANCELED, "Operation canceled"},
    {EDEADLK, "Deadlock avoided: the wait would never end"},
    {EEXIST, "Exists already"},
    {EFBIG, "File or memory region too large"},
    {EINPROGRESS, "Operation now in progress"},
    {EMSGSIZE, "Message or output too long"},
    {ENAMETOOLONG, "Name too long"},
    {ENOBUFS, "Backlog full, or no buffer space"},
    {ENODATA, "No more data"},
    {ENOENT, "No such file, directory, name or task"},
    {ENOSPC, "No space left, or a limit of the system is reached"},
    {ENOTRECOVERABLE, "Broken for good: not recoverable"},
    {ENOTSUP, "Operation not supported"},
    {EOVERFLOW, "Too many or too large"},
    {EOWNERDEAD, "The owner or worker has died, or the executor is of the parent of this process"},
    {EPIPE, "Closed or broken"},
    {EPROTO, "Another type, format or build, or a protocol error"},
    {EPROTONOSUPPORT, "Protocol or version not supported"},
    {EROFS, "Read-only file system or memory region"},
    {ESTALE, "Out of date: the value has changed, or the file is gone"},
    {ETIMEDOUT, "Timed out: a deadline has passed"},
    {ETOOMANYREFS, "Too many descriptors in messages that were not received"},
};

static const char *error_own_text(int number)
{
	for (size_t i = 0; i < FL__COUNT(error_own_texts); i++)
		if (error_own_texts[i].number == number)
			return error_own_texts[i].text;
	return NULL;
}

const char *fl_error_name(int rc)
{
	if (rc == FL_ETASK)
		return "FL_ETASK";
	if (rc == -ENOTSUP)
		return "ENOTSUP"; /* EOPNOTSUPP is the same number */
	if (rc > 0 || rc < -4095)
		return "E?";
	const char *name = error_name(-rc);
	return name ? name : "E?";
}

const char *fl_error_text(int rc)
{
	if (rc == FL_ETASK)
		return "the task failed";
	if (rc > 0)
		return "a positive number: an error is a negative errno";
	if (rc < -4095)
		return "no error of this library";
	const char *text = error_own_text(-rc);
	if (!text)
		text = error_text(-rc);
	return text ? text : "unknown error";
}

const char *fl__error_describe(int error, char text[64])
{
	if (error <= 0)
		return fl_error_text(error);
	const char *name = error_name(error);
	(void)snprintf(text, 64, "%d: an error is a negative errno%s%s%s", error, name ? " (-" : "", name ? name : "",
	               name ? ")" : "");
	return text;
}
