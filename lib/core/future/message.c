/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes and frees the messages of failed tasks. */
#include "../base/error.h"
#include "../base/sys.h"
#include "future.h"
#include <stdio.h>

static char message_lost[] = "(message lost: out of memory)";

char *fl__message_vformat(const char *format, va_list args)
{
	char *message = fl__alloc(1, FL_MESSAGE_MAX);
	if (!message)
		return message_lost;
	(void)vsnprintf(message, FL_MESSAGE_MAX, format, args);
	return message;
}

char *fl__message_format(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *message = fl__message_vformat(format, args);
	va_end(args);
	return message;
}

FL__COLD char *fl__message_positive(const fl_task_type *type, int error)
{
	char number[64];
	return fl__message_format("task %s returned %s", type->name ? type->name : "",
	                          fl__error_describe(error, number));
}

void fl__message_free(char *text)
{
	if (text != message_lost)
		fl__free(text);
}
