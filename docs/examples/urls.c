/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of URLs for the album: one a line; blank lines and lines that begin with # do not count.
 */
#include "album.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Returns the line without surrounding white space; NULL for a line without a URL. */
static char *trimmed(char *line)
{
	static const char space[] = " \t\r\n";
	line += strspn(line, space);
	size_t length = strlen(line);
	while (length > 0 && strchr(space, line[length - 1]) != NULL)
		length--;
	line[length] = '\0';
	return length == 0 || line[0] == '#' ? NULL : line;
}

static bool append(char ***urls, size_t *count, const char *url)
{
	char **more = realloc(*urls, (*count + 1) * sizeof *more);
	if (more == NULL)
		return false;
	*urls = more;
	more[*count] = strdup(url);
	if (more[*count] == NULL)
		return false;
	++*count;
	return true;
}

static bool take_line(const char *path, size_t number, char *line, char ***urls, size_t *count)
{
	const char *url = trimmed(line);
	if (url == NULL)
		return true;
	if (strstr(url, "://") == NULL || strpbrk(url, " \t") != NULL) {
		complain("%s:%zu: not a URL: '%.60s'", path, number, url);
		return false;
	}
	if (strlen(url) >= URL_BYTES) {
		complain("%s:%zu: the URL is longer than %d bytes", path, number, URL_BYTES - 1);
		return false;
	}
	if (append(urls, count, url))
		return true;
	complain("out of memory");
	return false;
}

static bool take_lines(FILE *f, const char *path, char ***urls, size_t *count)
{
	char *line = NULL;
	size_t room = 0;
	bool good = true;
	for (size_t number = 1; good && getline(&line, &room, f) >= 0; number++)
		good = take_line(path, number, line, urls, count);
	free(line);
	if (good && ferror(f)) {
		complain("cannot read '%s': %s", path, strerror(errno));
		return false;
	}
	if (good && *count == 0)
		complain("'%s' has no URL in it", path);
	return good && *count > 0;
}

bool urls_read(const char *path, char ***urls, size_t *count)
{
	FILE *f = fopen(path, "re");
	if (f == NULL) {
		complain("cannot read the URLs: %s: %s", path, strerror(errno));
		return false;
	}
	bool good = take_lines(f, path, urls, count);
	(void)fclose(f);
	return good;
}
