/* SPDX-License-Identifier: GPL-2.0-or-later */
/* str: a borrowed slice of bytes. Not NUL-terminated; may hold any byte. Whoever keeps a
 * str says in its comment from whom it borrows. All functions are pure; any thread. */
#ifndef LARCH_COMMON_STR_H
#define LARCH_COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
#define STR_NULL ((struct str){NULL, 0})
/* For printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_of(const char *p, size_t n) { return (struct str){p, n}; }
static inline struct str str_c(const char *c) { return (struct str){c, c ? strlen(c) : 0}; }
static inline bool str_eq(struct str a, struct str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
static inline bool str_eqc(struct str a, const char *c) { return str_eq(a, str_c(c)); }
/* s without its first / from byte i on / bytes [i, j); the caller keeps i <= j <= n. */
static inline struct str str_from(struct str s, size_t i) { return (struct str){s.p + i, s.n - i}; }
static inline struct str str_sub(struct str s, size_t i, size_t j) { return (struct str){s.p + i, j - i}; }

int str_cmp(struct str a, struct str b);            /* byte order, shorter first */
bool str_ieq(struct str a, struct str b);           /* ASCII case folded */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
ssize_t str_find(struct str s, struct str needle);  /* first offset or -1; "" is found at 0 */
ssize_t str_chr(struct str s, char c);              /* first offset or -1 */
ssize_t str_rchr(struct str s, char c);             /* last offset or -1 */
struct str str_trim(struct str s);                  /* ASCII blanks off both ends */
/* Splits at the first sep: *head is before it, *s becomes what follows. False (and *head = *s,
 * *s empty) when there is no sep. */
bool str_cut(struct str *s, char sep, struct str *head);
uint64_t str_hash(struct str s);                    /* xxh3 64; stable for ever, used on disk */

/* Of a hexadecimal digit in either case; -1: none. */
static inline int str_hex_digit(uint32_t c)
{
	if (c >= '0' && c <= '9') return (int)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (int)(c - 'a' + 10) : -1;
}
/* Strict base-10 integers over the whole slice: no blanks, optional '-' (i64 only), no overflow. */
bool str_to_i64(struct str s, int64_t *out);
bool str_to_u64(struct str s, uint64_t *out);
/* Go's strconv.ParseFloat grammar: decimal, hex, exponent, underscores refused, Inf/Infinity/NaN any case. */
bool str_to_f64(struct str s, double *out);

/* UTF-8 (RFC 3629: no surrogates, no overlong). Decodes one rune at s.p[*i] and advances *i; a bad
 * byte yields 0xFFFD and advances by 1. */
uint32_t str_rune(struct str s, size_t *i);
bool str_utf8_valid(struct str s);
size_t str_rune_put(uint32_t rune, char out[4]); /* bytes written */

/* Damerau-Levenshtein distance (adjacent transpositions), capped: returns max + 1 when greater or when
 * either is longer than 128 bytes. For "did you mean". */
unsigned str_distance(struct str a, struct str b, unsigned max);

#endif
