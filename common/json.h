/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json: a pull parser (RFC 8259, strict) and a writer.
 *
 * The reader walks a complete text and returns one token at a time, borrowing from the text; nothing is
 * allocated but for strings with escapes, on request. Depth is bounded (JSON_DEPTH). Errors are
 * ERR_INVALID with the byte offset in e->off and in the text. Bytes that are not UTF-8 pass through
 * the reader and become U+FFFD in the writer, both as in Go's encoding/json. One owner thread. */
#ifndef LARCH_COMMON_JSON_H
#define LARCH_COMMON_JSON_H

#include "common/buf.h"
#include "common/err.h"

#define JSON_DEPTH 512

enum json_tok { JSON_ERROR, JSON_END, JSON_OBJ_OPEN, JSON_OBJ_CLOSE, JSON_ARR_OPEN, JSON_ARR_CLOSE, JSON_KEY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL };

struct json {
	struct str in;
	size_t pos;       /* next byte to read */
	size_t tok_at;    /* offset of the current token */
	struct str text;  /* KEY, STRING: between the quotes, still escaped; NUMBER: as written */
	bool escaped;     /* text holds a backslash: use json_text() */
	unsigned depth;
	uint8_t state;    /* what may come next; json.c's business */
	uint64_t stack[JSON_DEPTH / 64]; /* bit: object or array at each depth */
	struct err *err;  /* where errors go */
};

void json_init(struct json *j, struct str in, struct err *e);
/* Next token. After JSON_ERROR (err is filled) or JSON_END (whole text consumed) the same again. */
enum json_tok json_next(struct json *j);
/* Skips the value that starts at the next token. False: error. */
bool json_skip(struct json *j);
/* Skips what is left of the value whose first token t was just returned (nothing, for a scalar). */
bool json_skip_rest(struct json *j, enum json_tok t);
/* The raw text of the value that starts at the next token (object, array or scalar), consuming it. */
bool json_raw(struct json *j, struct str *out);
/* Unescaped text of the current KEY/STRING: borrows from the input when nothing is escaped, else from
 * scratch (appended). Lone surrogates become U+FFFD, as in Go. */
struct str json_text(struct json *j, struct buf *scratch);
/* The same from raw text between quotes that the reader has checked; out has room for raw.n bytes.
 * Returns the bytes written, never more than raw.n. */
size_t json_unescape(struct str raw, char *out);

/* Writing: appends text; the writer puts the commas. */
struct json_out {
	struct buf *b;
	bool html;         /* escape < > & as \u003c…, like Go's encoding/json */
	bool comma;        /* an item stands before the next one */
};
void json_out_init(struct json_out *o, struct buf *b, bool html);
void json_open(struct json_out *o, char c);          /* '{' or '[' */
void json_close(struct json_out *o, char c);         /* '}' or ']' */
void json_key(struct json_out *o, struct str k);
void json_put_str(struct json_out *o, struct str s); /* invalid UTF-8 becomes U+FFFD */
void json_put_i64(struct json_out *o, int64_t v);
void json_put_u64(struct json_out *o, uint64_t v);
void json_put_f64(struct json_out *o, double v);     /* Go's encoding/json float form; NaN and Inf are null */
void json_put_bool(struct json_out *o, bool v);
void json_put_null(struct json_out *o);
void json_put_raw(struct json_out *o, struct str text);
/* Just the escaped text with its quotes; the hot loop of every answer (SIMD scan for plain runs). */
void json_quote(struct buf *b, struct str s, bool html);

#endif
