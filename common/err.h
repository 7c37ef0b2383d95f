/* SPDX-License-Identifier: GPL-2.0-or-later */
/* err: one error on the caller's stack, passed last.
 *
 * A fallible function returns bool (or a pointer) and fills *e only when it fails;
 * e is never NULL. The text says what is wrong, with which value, and what to do.
 * A code exists only where some caller behaves differently; err_info() maps each to an
 * HTTP status, to retry-or-drop and to a log level. Wrap on the way up with err_wrap(),
 * log once where the error stops. Plain data: no ownership, any thread. */
#ifndef LARCH_COMMON_ERR_H
#define LARCH_COMMON_ERR_H

#include <stdarg.h>
#include <stdbool.h>

enum err_code {
	ERR_NONE,
	ERR_INVALID,       /* bad input from outside: 400 */
	ERR_UNAUTH,        /* no or unknown identity: 401 */
	ERR_FORBIDDEN,     /* 403 */
	ERR_NOT_FOUND,     /* 404; also ENOENT */
	ERR_EXISTS,        /* put-if-absent lost, O_EXCL: 409 */
	ERR_TOO_LARGE,     /* a size limit: 413 */
	ERR_UNPROCESSABLE, /* 422 */
	ERR_RATE,          /* a rate limit, try later: 429 */
	ERR_CANCELLED,     /* the client went away: 499 */
	ERR_INTERNAL,      /* a bug or a broken invariant: 500 */
	ERR_UNAVAILABLE,   /* not now: starting, stopping, out of memory budget: 503 */
	ERR_NO_SPACE,      /* ENOSPC, EDQUOT: 503 */
	ERR_IO,            /* any other failed system call: 503 */
	ERR_CORRUPT,       /* a checksum or layout on disk does not hold: 500 */
	ERR_TIMEOUT,       /* a deadline: 504 */
	ERR_CODES
};

struct err {
	enum err_code code;
	int line, col; /* 1-based place in the input; 0: unknown */
	long off;      /* byte offset in the input; -1: unknown */
	char msg[2048];
};

struct err_info {
	const char *name; /* "not_found" */
	int http_status;
	bool retry;    /* a client should try the same request again later */
	bool is_fault; /* ours rather than the caller's: logged as error, else as debug */
};

#define ERR_INIT ((struct err){.code = ERR_NONE, .off = -1})

const struct err_info *err_info(enum err_code code);

/* Sets *e and returns false, so that `return err_set(e, …)` reads well. Text is cut, never overflown. */
bool err_set(struct err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool err_vset(struct err *e, enum err_code code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* The same with a place in the input. */
bool err_at(struct err *e, enum err_code code, int line, int col, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* From errno: maps ENOSPC/EDQUOT, ENOENT, EEXIST; appends ": strerror". */
bool err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " in front of the text; keeps code and place. Returns false. */
bool err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
