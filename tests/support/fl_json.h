/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_JSON_H
#define FL_TEST_JSON_H

/* Whether a text is JSON (RFC 8259) of ASCII characters alone. */
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const char *json_value(const char *at);

static const char *json_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* Each function returns the end of what it has read; NULL: it is not there. */
static const char *json_string(const char *at)
{
	if (*at++ != '"')
		return NULL;
	for (; *at != '"'; at++) {
		if (*at < ' ' || *at > '~')
			return NULL;
		if (*at != '\\')
			continue;
		if (*++at == 'u' && strspn(at + 1, "0123456789abcdefABCDEF") < 4)
			return NULL;
		if (!*at || !strchr("\"\\/bfnrtu", *at))
			return NULL;
	}
	return at + 1;
}

static const char *json_number(const char *at)
{
	at += *at == '-';
	size_t digits = strspn(at, "0123456789");
	if (digits == 0 || (digits > 1 && *at == '0'))
		return NULL;
	at += digits;
	if (*at == '.') {
		digits = strspn(++at, "0123456789");
		at += digits;
	}
	return digits > 0 ? at : NULL;
}

static const char *json_members(const char *at, char last, bool named)
{
	at = json_space(at + 1);
	for (bool first = true; *at != last; first = false) {
		if (!first && *at++ != ',')
			return NULL;
		if (named && (!(at = json_string(json_space(at))) || *(at = json_space(at)) != ':'))
			return NULL;
		at = json_value(at + named);
		if (!at)
			return NULL;
		at = json_space(at);
	}
	return at + 1;
}

static const char *json_value(const char *at)
{
	at = json_space(at);
	switch (*at) {
	case '{':
		return json_members(at, '}', true);
	case '[':
		return json_members(at, ']', false);
	case '"':
		return json_string(at);
	default:
		return json_number(at); /* the other literals are not needed */
	}
}

static inline bool fl_json_is_valid(const char *text)
{
	const char *end = json_value(text);
	return end && *json_space(end) == '\0';
}

#endif
