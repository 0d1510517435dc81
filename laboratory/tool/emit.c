/* SPDX-License-Identifier: BSD-2-Clause */
/* Strings for JSON and XML, and the files that the options name. */
#include "tool.h"
#include <errno.h>

/* Returns how many bytes the UTF-8 character at `s` has; 0: it is invalid. */
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

void emit_json_string(FILE *to, const char *text)
{
	fputc('"', to);
	for (const unsigned char *s = (const unsigned char *)(text ? text : ""); *s;) {
		size_t n = utf8(s);
		if (*s == '"' || *s == '\\')
			fprintf(to, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", to);
		else if (*s == '\t')
			fputs("\\t", to);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(to, "\\u%04x", *s);
		else if (n == 0)
			fputs("\\ufffd", to);
		else
			(void)fwrite(s, 1, n, to);
		s += n ? n : 1;
	}
	fputc('"', to);
}

void emit_json_member(FILE *to, const char *key, const char *text)
{
	fprintf(to, ",\"%s\":", key);
	emit_json_string(to, text);
}

void emit_xml(FILE *to, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)(text ? text : ""); *s;) {
		size_t n = utf8(s);
		if (*s == '&')
			fputs("&amp;", to);
		else if (*s == '<')
			fputs("&lt;", to);
		else if (*s == '>')
			fputs("&gt;", to);
		else if (*s == '"')
			fputs("&quot;", to);
		else if (n == 0 || (*s < 0x20 && *s != '\n' && *s != '\t'))
			fputc('?', to);
		else
			(void)fwrite(s, 1, n, to);
		s += n ? n : 1;
	}
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
