/* SPDX-License-Identifier: BSD-2-Clause */
#include "name_sys.h"
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fl__lookup_error(int code, int system)
{
	switch (code) {
	case EAI_NONAME:
#ifdef EAI_NODATA /* glibc's, as are all codes in an #ifdef here */
	case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
	case EAI_ADDRFAMILY:
#endif
		return -ENOENT;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_OVERFLOW:
		return -ENAMETOOLONG;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_FAMILY:
		return -EAFNOSUPPORT;
	case EAI_BADFLAGS:
	case EAI_SOCKTYPE:
	case EAI_SERVICE:
#ifdef EAI_IDN_ENCODE
	case EAI_IDN_ENCODE:
#endif
		return -EINVAL;
	case EAI_SYSTEM:
		return system > 0 ? -system : -EIO;
	default: /* EAI_FAIL */
		return -EIO;
	}
}

static unsigned copy(const struct addrinfo *found, struct fl__address *list, unsigned n)
{
	unsigned stored = 0;
	for (; found && stored < n; found = found->ai_next) {
		struct fl__address *a = &list[stored];
		if (found->ai_family != AF_INET && found->ai_family != AF_INET6)
			continue;
		*a = (struct fl__address){.size = found->ai_addrlen};
		memcpy(&a->at, found->ai_addr, found->ai_addrlen);
		stored++;
	}
	return stored;
}

static int sys_lookup(const char *host, int flags, struct fl__address *list, unsigned n)
{
	/* one socket type: else each address would come once for each type */
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct addrinfo *found = NULL;
	int before = errno;
	errno = 0;
	int code = getaddrinfo(host, NULL, &hints, &found);
	int rc = code != 0 ? fl__lookup_error(code, errno) : (int)copy(found, list, n);
	if (code == 0)
		freeaddrinfo(found);
	errno = before;
	return rc != 0 ? rc : -ENOENT;
}

static int sys_socket_file(const char *path, struct fl__file *file)
{
	struct stat st;
	int before = errno;
	int rc = lstat(path, &st) == 0 ? 0 : -errno; /* a symbolic link is no socket */
	errno = before;
	if (rc != 0)
		return rc;
	*file = (struct fl__file){st.st_dev, st.st_ino};
	return S_ISSOCK(st.st_mode) ? 0 : -ENOTSOCK;
}

static int sys_unlink(const char *path)
{
	int before = errno;
	int rc = unlink(path) == 0 ? 0 : -errno;
	errno = before;
	return rc;
}

struct fl__name_sys fl__name_sys = {
    .lookup = sys_lookup,
    .socket_file = sys_socket_file,
    .unlink = sys_unlink,
};
