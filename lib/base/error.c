/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/version.h>
#include <stddef.h>
#include <string.h>

const char *fl_version(void)
{
	return FL_VERSION;
}

const char *fl_error_name(int rc)
{
	if (rc == FL_ETASK)
		return "FL_ETASK";
	if (rc > 0 || rc < -4095)
		return "E?";
	const char *name = strerrorname_np(-rc);
	return name ? name : "E?";
}

const char *fl_error_text(int rc)
{
	if (rc == FL_ETASK)
		return "the task failed";
	if (rc > 0 || rc < -4095)
		return "no error of this library";
	const char *text = strerrordesc_np(-rc);
	return text ? text : "unknown error";
}
