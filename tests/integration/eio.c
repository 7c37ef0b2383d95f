/* SPDX-License-Identifier: GPL-2.0-or-later */
/* eio: preloaded into a program, makes pread() of files whose path ends with $EIO_SUFFIX fail with EIO as long as the file
 * $EIO_FLAG exists: a bad disk that comes back. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_bad(int fd)
{
	const char *suffix = getenv("EIO_SUFFIX"), *flag = getenv("EIO_FLAG");
	char proc[64], path[4096];
	if (!suffix || !flag || access(flag, F_OK) != 0) return 0;
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(proc, path, sizeof path - 1);
	size_t m = strlen(suffix);
	return n >= (ssize_t)m && memcmp(path + n - m, suffix, m) == 0;
}

#define PREAD(name, offset)                                                                                            \
	ssize_t name(int fd, void *p, size_t n, offset at);                                                            \
	ssize_t name(int fd, void *p, size_t n, offset at)                                                             \
	{                                                                                                              \
		static ssize_t (*real)(int, void *, size_t, offset);                                                   \
		if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                                                  \
		if (is_bad(fd)) return errno = EIO, -1;                                                                \
		return real(fd, p, n, at);                                                                             \
	}
PREAD(pread, off_t)
PREAD(pread64, off64_t)
