/* SPDX-License-Identifier: BSD-2-Clause */
/* Strings for JSON and XML, and the files that the options name. */
#include "tool.h"
#include <errno.h>
#include <stdarg.h>

/* Returns how many bytes the UTF-8 character at `s` has, or 0 if it is invalid. */
static size_t utf8(const unsigned char *s)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	LAB_EACH (i, forms) {
		if ((s[0] & forms[i].mask) != forms[i].lead)
			continue;
		uint32_t code = s[0] & (unsigned char)~forms[i].mask;
		for (size_t k = 1; k <= i; k++) {
			if ((s[k] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (s[k] & 0x3f);
		}
		return code >= forms[i].least && code <= 0x10ffff && (code & 0xfffff800) != 0xd800 ? i + 1 : 0;
	}
	return 0;
}

/* Writes a text as JSON or XML requires. A JSON string has quotes. */
static void write_text(FILE *to, const char *text, bool json)
{
	static const struct {
		unsigned char character;
		const char *in_json, *in_xml;
	} forms[] = {{'"', "\\\"", "&quot;"}, {'\\', "\\\\", "\\"}, {'\n', "\\n", "\n"}, {'\t', "\\t", "\t"},
	             {'&', "&", "&amp;"},     {'<', "<", "&lt;"},   {'>', ">", "&gt;"}};
	enum { FORMS = sizeof forms / sizeof *forms };
	fputs(json ? "\"" : "", to);
	for (const unsigned char *s = (const unsigned char *)(text ? text : ""); *s;) {
		size_t n = utf8(s), i = 0;
		while (i < FORMS && forms[i].character != *s)
			i++;
		const bool plain = n > 0 && *s >= 0x20 && (*s != 0x7f || !json);
		if (i < FORMS)
			fputs(json ? forms[i].in_json : forms[i].in_xml, to);
		else if (plain)
			(void)fwrite(s, 1, n, to);
		else if (json)
			fprintf(to, "\\u%04x", n > 0 ? *s : 0xfffd);
		else
			fputc('?', to);
		s += n ? n : 1;
	}
	fputs(json ? "\"" : "", to);
}

/* Prints as tool.h describes for emit_json() and emit_xml(). */
static void print(FILE *to, bool json, const char *format, va_list args)
{
	for (size_t n; *format; format += n) {
		char one[8];
		n = *format == '%' ? strcspn(format, "sduxfg") + 1 : strcspn(format, "%");
		snprintf(one, sizeof one, "%.*s", (int)n, format);
		if (*format != '%')
			(void)fwrite(format, 1, n, to);
		else if (format[n - 1] == 's')
			write_text(to, va_arg(args, const char *), json);
		else if (strpbrk(one, "fg"))
			/* NOLINTNEXTLINE(bugprone-branch-clone): each branch takes another type */
			fprintf(to, one, va_arg(args, double));
		else if (strpbrk(one, "lz"))
			fprintf(to, one, va_arg(args, unsigned long));
		else
			fprintf(to, one, va_arg(args, unsigned));
	}
}

void emit_json(FILE *to, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	print(to, true, format, args);
	va_end(args);
}

void emit_xml(FILE *to, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	print(to, false, format, args);
	va_end(args);
}

static bool write_file(const char *path, results_writer *write, const void *results)
{
	FILE *to = fopen(path, "we");
	bool good = to != NULL;
	if (good) {
		write(to, results);
		good = ferror(to) == 0;
		good = fclose(to) == 0 && good;
	}
	if (!good)
		complain("cannot write %s: %s", path, strerror(errno)); // NOLINT(concurrency-mt-unsafe)
	return good;
}

bool write_json(const struct options *o, results_writer *write, const void *results)
{
	bool good = !o->json || write_file(o->json, write, results);
	if (!o->json_only)
		return good;
	write(stdout, results);
	return fflush(stdout) == 0 && ferror(stdout) == 0 && good;
}

const char *const format_names[FORMATS] = {"junit", "html", "sarif"};

bool write_results(const struct run *run)
{
	static results_writer *const writers[FORMATS] = {junit_results, html_results, sarif_results};
	const struct options *o = run->options;
	bool good = write_json(o, json_results, run);
	LAB_EACH (i, writers)
		if (o->results[i])
			good = write_file(o->results[i], writers[i], run) && good;
	return good;
}
