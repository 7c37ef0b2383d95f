/* SPDX-License-Identifier: GPL-2.0-or-later */
/* url: percent-encoding and -decoding, and argument lists (`a=1&b=2`), as Go's net/url has them.
 *
 * Decoded text borrows from the input where nothing is escaped, else lives in the arena; any byte can come
 * out, NUL included. A `%` without two hex digits and a `;` between arguments are errors, in Go's words.
 * Pure functions; any thread; linear. Source: WHATWG URL, application/x-www-form-urlencoded. */
#ifndef LARCH_COMMON_URL_H
#define LARCH_COMMON_URL_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"

#define URL_ARGS_MAX 1000 /* of one list: they take more memory than they have text */

struct url_arg {
	struct str name, value; /* decoded */
};

struct url_args {
	struct url_arg *v; /* in the arena */
	size_t n, cap;
};

/* Appends s with all but letters, digits and -_.~ escaped; plus: a blank becomes `+` (arguments only). */
void url_encode(struct buf *b, struct str s, bool plus);
/* plus: `+` means a blank (arguments); false: itself (paths). */
bool url_decode(struct arena *a, struct str in, bool plus, struct str *out, struct err *e);
/* Appends the arguments of text in order. A name without `=` has an empty value; empty parts are skipped. */
bool url_args_parse(struct arena *a, struct str text, struct url_args *out, struct err *e);
/* First value of name from the i-th argument on; *i becomes the index after it. STR_NULL: no more. */
struct str url_args_next(const struct url_args *args, struct str name, size_t *i);

#endif
