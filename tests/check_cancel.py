#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks that no function of the library is a cancellation point of pthread_cancel(), as fairlead/defs.h says.

The test programs note each call of a cancellation point of the C library that is made where a cancel could act (support/fl_cancel_points.c):
callers() names the functions of the library among the callers; they also note each fiber that is suspended where a cancel could
not act, since the other fibers of the thread would inherit that. So that none is missed, archive_complaints() looks at the
functions that the library needs: those that may be cancellation points are noted, or stand in NEVER.
"""
import functools
import os
import re
import subprocess

TESTS = os.path.dirname(os.path.abspath(__file__))
# POSIX.1-2008, "Thread Cancellation": the functions that are cancellation points, and those that
# may be; others of glibc and musl.
POINTS = frozenset("""
    accept accept4 access aio_suspend asctime asctime_r catclose catgets catopen chmod chown clock_nanosleep close closedir closelog
    connect copy_file_range creat ctermid ctime ctime_r dbm_close dbm_delete dbm_fetch dbm_nextkey dbm_open dbm_store dlclose dlopen
    dprintf endgrent endhostent endnetent endprotoent endpwent endservent endutxent epoll_pwait epoll_pwait2 epoll_wait faccessat
    fallocate fchmod fchmodat fchown fchownat fclose fcntl fdatasync fflush fgetc fgetpos fgets fgetwc fgetws fmtmsg fopen fpathconf
    fprintf fputc fputs fputs_unlocked fputwc fputws fread freopen fscanf fseek fseeko fsetpos fstat fstatat fsync ftell ftello ftw
    futimens fwprintf fwrite fwrite_unlocked fwscanf getaddrinfo getc getc_unlocked getchar getchar_unlocked getcwd getdate getdelim
    getgrent getgrgid getgrgid_r getgrnam getgrnam_r gethostbyaddr gethostbyname gethostent gethostid gethostname getline getlogin
    getlogin_r getmsg getnameinfo getnetbyaddr getnetbyname getnetent getpmsg getprotobyname getprotobynumber getprotoent getpwent
    getpwnam getpwnam_r getpwuid getpwuid_r getrandom gets getservbyname getservbyport getservent getutxent getutxid getutxline getwc
    getwchar getwd glob iconv_close iconv_open ioctl link linkat lio_listio localtime localtime_r lockf lseek lstat mkdir mkdirat
    mkdtemp mkfifo mkfifoat mknod mknodat mkstemp mktime mq_receive mq_send mq_timedreceive mq_timedsend msgrcv msgsnd msync nanosleep
    nftw open openat opendir openlog pathconf pause pclose perror poll popen posix_fadvise posix_fallocate posix_madvise posix_openpt
    posix_spawn posix_spawnp posix_trace_clear posix_trace_close posix_trace_create posix_trace_create_withlog
    posix_trace_eventtypelist_getnext_id posix_trace_eventtypelist_rewind posix_trace_flush posix_trace_get_attr posix_trace_get_filter
    posix_trace_get_status posix_trace_getnext_event posix_trace_open posix_trace_rewind posix_trace_set_filter posix_trace_shutdown
    posix_trace_timedgetnext_event posix_typed_mem_open ppoll pread preadv preadv2 printf pselect psiginfo psignal pthread_clockjoin_np
    pthread_cond_timedwait pthread_cond_wait pthread_join pthread_rwlock_rdlock pthread_rwlock_timedrdlock pthread_rwlock_timedwrlock
    pthread_rwlock_wrlock pthread_testcancel pthread_timedjoin_np putc putc_unlocked putchar putchar_unlocked putmsg putpmsg puts
    pututxline putwc putwchar pwrite pwritev pwritev2 read readdir readdir_r readlink readlinkat readv recv recvfrom recvmmsg recvmsg
    remove rename renameat rewind rewinddir scandir scanf seekdir select sem_clockwait sem_timedwait sem_wait semop send sendfile
    sendmmsg sendmsg sendto setgrent sethostent setnetent setprotoent setpwent setservent setutxent sigpause sigsuspend sigtimedwait
    sigwait sigwaitinfo sleep splice stat strerror strerror_r strftime symlink symlinkat sync sync_file_range syslog system tcdrain tee
    tmpfile tmpnam ttyname ttyname_r tzset ungetc ungetwc unlink unlinkat usleep utime utimensat utimes vdprintf vfprintf vfscanf
    vfwprintf vmsplice vprintf vscanf vwprintf wait wait3 wait4 waitid waitpid wcsftime wordexp wprintf write writev wscanf
""".split())
# By POSIX these may be cancellation points. In glibc and musl they are none; fcntl() is one with
# the commands that wait for a lock.
NEVER = frozenset("access chmod faccessat fcntl fstat fstatat gethostname ioctl lstat readlink readlinkat stat strerror unlink".split())
NOTED = re.compile(r"^(?:(?:CANCEL_POINT|INTERRUPTIBLE)\([^,]*, |(?:int|FILE \*) ?)(\w+)[,(]", re.M)


def noted():
    """The functions that the test programs define."""
    with open(os.path.join(TESTS, "support/fl_cancel_points.c"), encoding="utf-8") as source:
        return set(NOTED.findall(source.read()))


def plain(symbol):
    """The name in C: open for open64, fscanf for __isoc99_fscanf, fprintf for __fprintf_chk."""
    return re.sub(r"(64|_chk)$", "", re.sub(r"^__(isoc\d+_)?", "", symbol))


def nm(path, *options):
    return subprocess.run(["nm", *options, path], text=True, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.splitlines()


def archive_complaints(archive):
    needed = {plain(line.split()[-1]) for line in nm(archive, "--undefined-only") if line.startswith(" ")}
    for name in sorted(needed & POINTS - NEVER - noted()):
        yield f"the library calls {name}(), which may be a cancellation point: support/fl_cancel_points.c does not note it"


@functools.lru_cache
def ours(archives):
    """The names of the library's functions. All programs of a run ask for those of the same archives."""
    return frozenset(name for archive in archives for _, name in functions(archive, "t", "T"))


def functions(path, *kinds):
    """The functions of a program or an archive: (address, name). The compiler splits some into parts, as name.cold."""
    for line in nm(path):
        words = line.split()
        if len(words) == 3 and words[1] in kinds:
            yield int(words[0], 16), words[2].split(".")[0]


def callers(program, archives, notes):
    """What the library's functions call where a cancel could act, and those that suspend a fiber where it could not. `notes`: the lines that `program` has written."""
    lines = sorted(set(notes.splitlines()))
    there = sorted(functions(program, "t", "T")) if lines else ()
    for line in lines:
        point, address = line.split()
        name = next((name for at, name in reversed(there) if at < int(address, 16)), "?")
        if name not in ours(tuple(archives)):
            continue
        if point == "switch":
            yield f"{name}() suspends a fiber inside of FL__UNCANCELLED()"
        else:
            yield f"{name}() calls {point}(), a cancellation point, outside of FL__UNCANCELLED() and FL__SYS_RESULT()"
