/* SPDX-License-Identifier: BSD-2-Clause */
/* The album on disk: its folder, and the names of its files. */
#include "album.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool make_temporary(struct folder *d)
{
	const char *base = getenv("TMPDIR");
	if (base == NULL || base[0] == '\0')
		base = "/tmp";
	int length = snprintf(d->path, sizeof d->path, "%s/fairlead-album-XXXXXX", base);
	if (length < 0 || (size_t)length >= sizeof d->path) {
		complain("the folder for temporary files has too long a name");
		return false;
	}
	d->temporary = mkdtemp(d->path) != NULL;
	if (!d->temporary)
		complain("cannot make a temporary folder '%s': %s", d->path, strerror(errno));
	return d->temporary;
}

/* Opens the folder that the user named, ./album for real URLs, or a temporary one. */
bool folder_open(struct folder *d, const struct options *o)
{
	*d = (struct folder){0};
	const char *path = o->output != NULL ? o->output : o->urls != NULL ? "album" : NULL;
	if (path == NULL)
		return make_temporary(d);
	if (strlen(path) >= sizeof d->path) {
		complain("the folder '%.40s...' has too long a name", path);
		return false;
	}
	struct stat st;
	(void)snprintf(d->path, sizeof d->path, "%s", path);
	if (mkdir(path, 0777) != 0 && (errno != EEXIST || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))) {
		complain("cannot make the folder '%s': %s", path, strerror(errno));
		return false;
	}
	if (access(path, W_OK | X_OK) != 0) {
		complain("cannot write in the folder '%s': %s", path, strerror(errno));
		return false;
	}
	return true;
}

/* Removes the saved file if the folder is temporary. */
void folder_remove(const struct folder *d, const struct file *file)
{
	char path[PATH_BYTES];
	if (!d->temporary)
		return;
	(void)unlink(file->path); /* may not exist */
	thumbnail_path(path, file);
	(void)unlink(path);
}

void folder_close(struct folder *d)
{
	if (d->temporary && rmdir(d->path) != 0)
		complain("cannot remove the temporary folder '%s': %s", d->path, strerror(errno));
	d->temporary = false;
}

/* Stores the file's paths. They fit, since a folder's path is at most half as long as a file's. */
static void place(struct file *file, const struct folder *d)
{
	_Static_assert(sizeof d->path + sizeof file->name + sizeof "thumb-/" <= sizeof file->path, "a path may be cut");
	(void)snprintf(file->path, sizeof file->path, "%s/%s", d->path, file->name);
}

/* "thumb-" before the name, in the same folder. */
void thumbnail_path(char path[PATH_BYTES], const struct file *file)
{
	int folder = (int)(strlen(file->path) - strlen(file->name));
	(void)snprintf(path, PATH_BYTES, "%.*sthumb-%s", folder, file->path, file->name);
}

void file_from_server(struct file *f, unsigned number, unsigned port, const struct options *o, const struct folder *d)
{
	*f = (struct file){.timeout = o->timeout, .own = true};
	(void)snprintf(f->name, sizeof f->name, "picture-%02u.png", number);
	(void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u/%s", port, f->name);
	place(f, d);
}

/*
 * The last part of the URL, reduced to letters, digits and .-_ , behind a number that makes it
 * unique.
 */
static void name_from_url(char *name, size_t size, const char *url, size_t number)
{
	const char *begin = strstr(url, "://");
	begin = begin != NULL ? begin + 3 : url;
	size_t length = strcspn(begin, "?#");
	while (length > 0 && begin[length - 1] == '/')
		length--;
	size_t from = length;
	while (from > 0 && begin[from - 1] != '/')
		from--;
	int used = snprintf(name, size, "%03zu-", number);
	for (; from < length && (size_t)used + 1 < size; from++) {
		unsigned char c = (unsigned char)begin[from];
		name[used++] = (char)(isalnum(c) || c == '.' || c == '-' ? c : '_');
	}
	name[used] = '\0';
}

void file_from_url(struct file *f, size_t index, const struct options *o, const struct folder *d)
{
	*f = (struct file){.timeout = o->timeout};
	name_from_url(f->name, sizeof f->name, o->urls[index], index + 1);
	/* The URL fits, since urls_read() has checked its length. */
	(void)snprintf(f->url, sizeof f->url, "%s", o->urls[index]);
	place(f, d);
}

static int read_all(FILE *f, struct bytes *content)
{
	struct stat st;
	if (fstat(fileno(f), &st) != 0)
		return -errno;
	content->size = (size_t)st.st_size;
	content->data = malloc(content->size + 1);
	if (content->data == NULL)
		return -ENOMEM;
	if (fread(content->data, 1, content->size, f) == content->size)
		return 0;
	free(content->data);
	return -EIO;
}

int file_read(const char *path, struct bytes *content)
{
	struct bytes found = {0};
	FILE *f = fopen(path, "rbe");
	int rc = f != NULL ? read_all(f, &found) : -errno;
	if (f != NULL)
		(void)fclose(f);
	if (rc == 0)
		*content = found;
	return rc;
}
