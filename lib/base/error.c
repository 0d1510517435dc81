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

#ifdef __GLIBC__
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
	/* clang-format off */
	switch (number) {
	case 0: return "0";
#define E(name) case name: return #name;
	E(EPERM) E(ENOENT) E(ESRCH) E(EINTR) E(EIO) E(ENXIO) E(E2BIG) E(ENOEXEC) E(EBADF) E(ECHILD)
	E(EAGAIN) E(ENOMEM) E(EACCES) E(EFAULT) E(ENOTBLK) E(EBUSY) E(EEXIST) E(EXDEV) E(ENODEV)
	E(ENOTDIR) E(EISDIR) E(EINVAL) E(ENFILE) E(EMFILE) E(ENOTTY) E(ETXTBSY) E(EFBIG) E(ENOSPC)
	E(ESPIPE) E(EROFS) E(EMLINK) E(EPIPE) E(EDOM) E(ERANGE) E(EDEADLK) E(ENAMETOOLONG) E(ENOLCK)
	E(ENOSYS) E(ENOTEMPTY) E(ELOOP) E(ENOMSG) E(EIDRM) E(ECHRNG) E(EL2NSYNC) E(EL3HLT) E(EL3RST)
	E(ELNRNG) E(EUNATCH) E(ENOCSI) E(EL2HLT) E(EBADE) E(EBADR) E(EXFULL) E(ENOANO) E(EBADRQC)
	E(EBADSLT) E(EBFONT) E(ENOSTR) E(ENODATA) E(ETIME) E(ENOSR) E(ENONET) E(ENOPKG) E(EREMOTE)
	E(ENOLINK) E(EADV) E(ESRMNT) E(ECOMM) E(EPROTO) E(EMULTIHOP) E(EDOTDOT) E(EBADMSG) E(EOVERFLOW)
	E(ENOTUNIQ) E(EBADFD) E(EREMCHG) E(ELIBACC) E(ELIBBAD) E(ELIBSCN) E(ELIBMAX) E(ELIBEXEC)
	E(EILSEQ) E(ERESTART) E(ESTRPIPE) E(EUSERS) E(ENOTSOCK) E(EDESTADDRREQ) E(EMSGSIZE)
	E(EPROTOTYPE) E(ENOPROTOOPT) E(EPROTONOSUPPORT) E(ESOCKTNOSUPPORT) E(EOPNOTSUPP) E(EPFNOSUPPORT)
	E(EAFNOSUPPORT) E(EADDRINUSE) E(EADDRNOTAVAIL) E(ENETDOWN) E(ENETUNREACH) E(ENETRESET)
	E(ECONNABORTED) E(ECONNRESET) E(ENOBUFS) E(EISCONN) E(ENOTCONN) E(ESHUTDOWN) E(ETOOMANYREFS)
	E(ETIMEDOUT) E(ECONNREFUSED) E(EHOSTDOWN) E(EHOSTUNREACH) E(EALREADY) E(EINPROGRESS) E(ESTALE)
	E(EUCLEAN) E(ENOTNAM) E(ENAVAIL) E(EISNAM) E(EREMOTEIO) E(EDQUOT) E(ENOMEDIUM) E(EMEDIUMTYPE)
	E(ECANCELED) E(ENOKEY) E(EKEYEXPIRED) E(EKEYREVOKED) E(EKEYREJECTED) E(EOWNERDEAD)
	E(ENOTRECOVERABLE) E(ERFKILL)
#undef E
	default: return NULL;
	}
	/* clang-format on */
}

/* musl's descriptions are constants. */
static const char *error_text(int number)
{
	return number == 0 ? "Success" : error_name(number) ? strerror(number) : NULL;
}
#endif

const char *fl_error_name(int rc)
{
	if (rc == FL_ETASK)
		return "FL_ETASK";
	if (rc == -ENOTSUP)
		return "ENOTSUP"; /* the headers' name; EOPNOTSUPP is the same number */
	if (rc > 0 || rc < -4095)
		return "E?";
	const char *name = error_name(-rc);
	return name ? name : "E?";
}

const char *fl_error_text(int rc)
{
	if (rc == FL_ETASK)
		return "the task failed";
	if (rc > 0 || rc < -4095)
		return "no error of this library";
	const char *text = error_text(-rc);
	return text ? text : "unknown error";
}
