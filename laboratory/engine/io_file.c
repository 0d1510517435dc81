/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regular files and streams.
 *
 * Each execution sees a file as it was when any execution first opened it. What an execution writes
 * stays in memory, and is discarded when the execution ends. Each call that reads or changes a file
 * is a step on the file. Steps on a file do not commute, and they order nothing else.
 *
 * A stream of fopen() is a stream of the C library, but the functions of this file move its bytes.
 * The C library calls these functions while it has the stream locked. Therefore the step of a call
 * on a stream comes earlier, in lab_io_use_stream().
 */
#include "io.h"
#include <libgen.h>
#include <stdio_ext.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A file of this execution. While it is open, it exists even if its name has been removed. */
struct lab_node {
	struct stat is; /* st_mode is 0 as long as there is no file of the name */
	char *bytes;
	size_t size;
	unsigned number; /* the index of its name */
};
static struct name {
	char *path;
	struct stat real;      /* of the real file; st_mode is 0 if there is none */
	char *kept;            /* its contents */
	struct lab_node *node; /* the file that has the name */
	uint32_t generation;
} names[LAB_SHARED_NODES];

static FILE *streams[LAB_IO_NUMBERS]; /* the open stream of each descriptor, or NULL */
/*
 * The streams that the program has closed. The C library closes them when the execution has ended,
 * so that no other stream gets the address of a closed one.
 */
static struct closed {
	FILE *stream;
	struct lab_place at;
} * closed;
static size_t n_closed, closed_room;

void lab_io_file_reset(void)
{
	LAB_EACH (i, streams)
		if (streams[i]) {
			(void)fclose(streams[i]);
			streams[i] = NULL;
		}
	while (n_closed > 0)
		(void)fclose(closed[--n_closed].stream);
}

/*
 * If there is a real file, reads its contents. Returns false if the real file cannot be read, or if
 * it is neither a regular file, nor /dev/null, nor the name of a socket.
 */
static bool file_read(struct name *n, const char *path)
{
	if (stat(path, &n->real) != 0)
		return errno == ENOENT;
	n->kept = malloc((size_t)n->real.st_size + 1);
	if (S_ISSOCK(n->real.st_mode) || strcmp(path, "/dev/null") == 0)
		return true;
	const int real = S_ISREG(n->real.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	const bool whole = real >= 0 && n->kept && read(real, n->kept, (size_t)n->real.st_size) == n->real.st_size;
	close(real);
	return whole;
}

static void file_new(struct name *n, const struct stat *is)
{
	n->node = lab_map(sizeof *n->node);
	*n->node = (struct lab_node){*is, n->kept, (size_t)is->st_size, (unsigned)(n - names)};
}

/* Returns the name. If its folder does not exist, it sets errno and returns NULL. */
static struct name *file_name(const char *path, uintptr_t pc)
{
	char whole[PATH_MAX]; /* realpath() stores in it the path as far as it exists, and one name more */
	if (!realpath(path, whole) && access(dirname(strdupa(path)), F_OK) != 0)
		return NULL;
	unsigned i = 0;
	for (; i < LAB_SHARED_NODES && names[i].path && strcmp(names[i].path, whole) != 0; i++)
		;
	struct name *n = &names[i];
	if (i < LAB_SHARED_NODES && !n->path && file_read(n, whole))
		n->path = strdup(whole);
	if (i == LAB_SHARED_NODES || !n->path)
		lab_unmodelled(pc, "opens %s: the model has %d regular files", path, LAB_SHARED_NODES);
	if (n->generation != lab.generation) {
		n->generation = lab.generation;
		file_new(n, &n->real);
	}
	return n;
}

static void file_node_step(const struct lab_node *n, uintptr_t pc)
{
	lab_shared_step(LAB_SHARED_NODE + n->number, pc);
}

/*
 * Makes a step on the file, unless `pc` is 0. If another thread closes the file before the step, no
 * other file takes its place.
 */
static void file_step(struct lab_file *f, uintptr_t pc)
{
	if (!pc)
		return;
	f->refs++;
	file_node_step(f->node, pc);
	lab_io_drop(f, pc);
}

static void file_resize(struct lab_node *n, size_t size)
{
	char *to = lab_map(size + 1);
	memcpy(to, n->bytes, n->size < size ? n->size : size);
	n->bytes = to;
	n->size = size;
}

static struct lab_file *file_open(const char *path, int flags, uintptr_t pc)
{
	struct name *name = file_name(path, pc);
	if (!name)
		return NULL;
	file_node_step(name->node, pc);
	struct lab_node *n = name->node;
	const mode_t mode = n->is.st_mode;
	if (!mode && !(flags & O_CREAT))
		errno = ENOENT;
	else if (mode && flags & O_CREAT && flags & O_EXCL)
		errno = EEXIST;
	else if (S_ISSOCK(mode))
		errno = ENXIO;
	else {
		if (!mode)
			n->is = (struct stat){.st_mode = S_IFREG | 0644, .st_nlink = 1};
		if (flags & O_TRUNC)
			n->size = 0;
		lab_shared_step(LAB_SHARED_FILES, pc);
		struct lab_file *f = lab_io_open(LAB_IO_FILE, 0, pc);
		f->node = n;
		f->flags = flags;
		return f;
	}
	return NULL;
}

ssize_t lab_io_file_move(struct lab_file *f, const struct iovec *v, size_t n, bool writes, uintptr_t pc)
{
	struct lab_node *node = f->node;
	ssize_t done = 0;
	if ((f->flags & O_ACCMODE) == (writes ? O_RDONLY : O_WRONLY))
		return lab_error(EBADF);
	file_step(f, pc);
	if (writes && f->flags & O_APPEND)
		f->offset = (off_t)node->size;
	for (; n-- > 0; v++) {
		const size_t at = (size_t)f->offset, left = at < node->size ? node->size - at : 0;
		const size_t size = writes || v->iov_len < left ? v->iov_len : left;
		if (writes)
			file_resize(node, at + size > node->size ? at + size : node->size);
		else if (pc)
			lab_writes(v->iov_base, size, pc);
		if (size > 0)
			memcpy(writes ? node->bytes + at : v->iov_base, writes ? v->iov_base : node->bytes + at, size);
		f->offset += (off_t)size;
		done += (ssize_t)size;
	}
	if (S_ISCHR(node->is.st_mode))
		node->size = 0; /* /dev/null */
	return done;
}

static ssize_t file_move_at(int number, const struct iovec *v, off64_t at, bool writes, uintptr_t pc)
{
	const struct lab_file *f = lab_io_of(number);
	if (!f || f->kind != LAB_IO_FILE || at < 0)
		return lab_error(!f ? EBADF : at < 0 ? EINVAL : ESPIPE);
	struct lab_file moved = *f; /* whose own place does not change */
	moved.offset = at;
	return lab_io_file_move(&moved, v, 1, writes, pc);
}

static ssize_t file_pread(int number, void *to, size_t size, off64_t at)
{
	return file_move_at(number, &(struct iovec){to, size}, at, false, PC);
}

static ssize_t file_pwrite(int number, const void *from, size_t size, off64_t at)
{
	lab_reads(from, size, PC);
	return file_move_at(number, &(struct iovec){(void *)from, size}, at, true, PC);
}

static int file_open_by(const char *path, int flags, ...)
{
	struct lab_file *f = file_open(path, flags, PC);
	return f ? lab_io_number(f, PC) : -1;
}

static off64_t file_seek(struct lab_file *f, off64_t to, int whence, uintptr_t pc)
{
	if (f->kind != LAB_IO_FILE)
		return lab_error(ESPIPE);
	file_step(f, pc);
	to += whence == SEEK_CUR ? f->offset : whence == SEEK_END ? (off64_t)f->node->size : 0;
	if (to < 0)
		return lab_error(EINVAL);
	return f->offset = to;
}

static off64_t file_lseek(int number, off64_t to, int whence)
{
	struct lab_file *f = lab_io_of(number);
	return f ? file_seek(f, to, whence, PC) : -1;
}

static int file_fstat(int number, struct stat *to)
{
	struct lab_file *f = lab_io_of(number);
	if (!f && (number < 0 || number >= LAB_IO_FIRST))
		return -1;
	LAB_STORE(to, PC,
	          f && f->node ? f->node->is
	                       : (struct stat){.st_mode = !f                         ? S_IFCHR
	                                                  : f->kind == LAB_IO_SOCKET ? S_IFSOCK
	                                                                             : S_IFIFO});
	if (f && f->node) {
		file_step(f, PC);
		to->st_size = (off_t)f->node->size;
	}
	return 0;
}

/* Removes a regular file, or the name of a socket. */
static int file_unlink(const char *path)
{
	lab_shared_step(LAB_SHARED_FILES, PC);
	LAB_EACH (i, lab_io_files) {
		struct lab_address *a = &lab_io_files[i].own;
		if (a->size == 0 || a->is.ss_family != AF_UNIX ||
		    strcmp(((struct sockaddr_un *)&a->is)->sun_path, path) != 0)
			continue;
		a->size = 0;
		return 0;
	}
	struct name *n = file_name(path, PC);
	if (!n)
		return -1;
	file_node_step(n->node, PC);
	const int error = n->node->is.st_mode ? 0 : ENOENT;
	file_new(n, &(struct stat){0});
	return lab_error(error);
}

/* --- streams --- */

static ssize_t file_stream_read(void *of, char *to, size_t size)
{
	return lab_io_file_move(of, &(struct iovec){to, size}, 1, false, 0);
}

static ssize_t file_stream_write(void *of, const char *from, size_t size)
{
	return lab.active ? lab_io_file_move(of, &(struct iovec){(char *)from, size}, 1, true, 0) : (ssize_t)size;
}

static int file_stream_seek(void *of, off64_t *to, int whence)
{
	return (*to = file_seek(of, *to, whence, 0)) < 0 ? -1 : 0;
}

static FILE *file_fopen(const char *path, const char *mode)
{
	const int way = strchr(mode, '+') ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;
	const int more = *mode == 'r' ? 0 : *mode == 'w' ? O_CREAT | O_TRUNC : O_CREAT | O_APPEND;
	struct lab_file *f = file_open(path, way | more | (strchr(mode, 'x') ? O_EXCL : 0), PC);
	if (!f)
		return NULL;
	FILE *stream =
	    fopencookie(f, mode, (cookie_io_functions_t){file_stream_read, file_stream_write, file_stream_seek, NULL});
	streams[lab_io_number(f, PC)] = stream;
	return stream;
}

static int file_fclose(FILE *stream)
{
	if (!lab_io_use_stream(stream, PC))
		return 0;
	unsigned i = 0;
	while (streams[i] != stream)
		i++;
	closed = lab_grown(closed, n_closed, &closed_room, sizeof *closed);
	closed[n_closed++] = (struct closed){stream, lab_here(PC)};
	fflush(stream);
	streams[i] = NULL;
	return lab_io_close((int)i, PC);
}

void lab_io_flush(uintptr_t pc)
{
	LAB_EACH (i, streams)
		if (streams[i] && __fpending(streams[i]) && lab_io_use_stream(streams[i], pc))
			fflush(streams[i]);
}

/* Stand for what is inside of the stream of each descriptor. Only their addresses are used. */
static uint64_t insides[LAB_IO_NUMBERS];

void lab_io_in_stream(const FILE *stream, bool locked, uintptr_t pc)
{
	LAB_EACH (i, streams)
		if (stream == (i == STDOUT_FILENO ? stdout : i == STDERR_FILENO ? stderr : streams[i]))
			lab_plain((uintptr_t)&insides[i], sizeof insides[i], !locked, pc);
}

bool lab_io_stream_name(uintptr_t address, char *text, size_t size)
{
	if (address - (uintptr_t)insides >= sizeof insides)
		return false;
	snprintf(text, size, "the inside of a stream");
	return true;
}

bool lab_io_use_stream(const FILE *stream, uintptr_t pc)
{
	if (!stream)
		lab_misuse(pc, "uses a stream at NULL");
	LAB_EACH (i, streams) {
		struct lab_file *f = lab_io_find((int)i);
		if (streams[i] != stream)
			continue;
		if (f && f->node)
			file_step(f, pc);
		if (streams[i] == stream) /* no other thread has closed it before this step */
			return true;
	}
	for (size_t i = 0; i < n_closed; i++)
		if (closed[i].stream == stream)
			lab_misuse(pc, "uses a stream that %s has closed at %s", lab.threads[closed[i].at.thread].name,
			           lab_site_name(closed[i].at.pc));
	return false;
}

/*
 * What these two calls write depends on the file, so the model learns of the writes after the call.
 */
static char *file_fgets(char *to, int size, FILE *stream)
{
	int n = 0, c = 0;
	(void)lab_io_use_stream(stream, PC);
	while (n < size - 1 && c != '\n' && (c = fgetc(stream)) != EOF)
		to[n++] = (char)c;
	if (n == 0 && (c == EOF || size < 1))
		return NULL;
	to[n] = '\0';
	lab_writes(to, (size_t)n + 1, PC);
	return to;
}

static size_t file_fread(void *to, size_t size, size_t n, FILE *stream)
{
	(void)lab_io_use_stream(stream, PC);
	const size_t bytes = fread(to, 1, size * n, stream);
	lab_writes(to, bytes, PC);
	return bytes / (size ?: 1);
}

#define CALL(name) LAB_CALL(#name, file_##name)
LAB_CALLS = {
    LAB_CALL("open", file_open_by),
    LAB_CALL("open64", file_open_by),
    CALL(pread),
    LAB_CALL("pread64", file_pread),
    CALL(pwrite),
    LAB_CALL("pwrite64", file_pwrite),
    CALL(lseek),
    LAB_CALL("lseek64", file_lseek),
    CALL(fstat),
    LAB_CALL("fstat64", file_fstat),
    CALL(unlink),
    LAB_CALL("remove", file_unlink),
    CALL(fopen),
    LAB_CALL("fopen64", file_fopen),
    CALL(fclose),
    CALL(fgets),
    CALL(fread),
};
