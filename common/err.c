/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct err_info table[ERR_CODES] = {
	[ERR_NONE] = {"none", 200, false, false},           [ERR_INVALID] = {"invalid", 400, false, false},
	[ERR_UNAUTH] = {"unauthorized", 401, false, false}, [ERR_FORBIDDEN] = {"forbidden", 403, false, false},
	[ERR_NOT_FOUND] = {"not_found", 404, false, false}, [ERR_EXISTS] = {"exists", 409, false, false},
	[ERR_TOO_LARGE] = {"too_large", 413, false, false}, [ERR_UNPROCESSABLE] = {"unprocessable", 422, false, false},
	[ERR_RATE] = {"rate_limited", 429, true, false},    [ERR_CANCELLED] = {"cancelled", 499, false, false},
	[ERR_INTERNAL] = {"internal", 500, true, true},     [ERR_UNAVAILABLE] = {"unavailable", 503, true, false},
	[ERR_NO_SPACE] = {"no_space", 503, true, true},     [ERR_IO] = {"io", 503, true, true},
	[ERR_CORRUPT] = {"corrupt", 500, true, true},       [ERR_TIMEOUT] = {"timeout", 504, true, false},
};

const struct err_info *err_info(enum err_code code) { return &table[(unsigned)code < ERR_CODES ? code : ERR_INTERNAL]; }

bool err_vset(struct err *e, enum err_code code, const char *fmt, va_list ap)
{
	e->code = code;
	e->line = e->col = 0;
	e->off = -1;
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	return false;
}

bool err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err_vset(e, code, fmt, ap);
	va_end(ap);
	return false;
}

bool err_at(struct err *e, enum err_code code, int line, int col, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err_vset(e, code, fmt, ap);
	va_end(ap);
	e->line = line;
	e->col = col;
	return false;
}

static enum err_code from_errno(int no)
{
	switch (no) {
	case ENOSPC:
	case EDQUOT: return ERR_NO_SPACE;
	case ENOENT: return ERR_NOT_FOUND;
	case EEXIST: return ERR_EXISTS;
	default: return ERR_IO;
	}
}

bool err_errno(struct err *e, const char *fmt, ...)
{
	int no = errno;
	va_list ap;
	va_start(ap, fmt);
	err_vset(e, from_errno(no), fmt, ap);
	va_end(ap);
	size_t n = strlen(e->msg);
	char text[128];
	snprintf(e->msg + n, sizeof e->msg - n, ": %s", strerror_r(no, text, sizeof text));
	return false;
}

bool err_wrap(struct err *e, const char *fmt, ...)
{
	char old[sizeof e->msg];
	memcpy(old, e->msg, strnlen(e->msg, sizeof old - 1) + 1);
	old[sizeof old - 1] = '\0';
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	size_t n = strlen(e->msg);
	snprintf(e->msg + n, sizeof e->msg - n, ": %s", old);
	return false;
}
