/* SPDX-License-Identifier: GPL-2.0-or-later */
/* buf: the one growable byte buffer. {0} is empty and ready. Owner frees with buf_free().
 * Memory exhaustion aborts the process (mem_alloc); sizes that come from outside are checked
 * against limits before they reach here. Not thread-safe. Amortised O(1) append. */
#ifndef LARCH_COMMON_BUF_H
#define LARCH_COMMON_BUF_H

#include "common/str.h"
#include <stdarg.h>

struct buf {
	char *p;
	size_t n, cap;
};

/* malloc family that never returns NULL: aborts with a message. free() releases. */
void *mem_alloc(size_t n);
void *mem_zalloc(size_t n);
void *mem_realloc(void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
struct str mem_str(struct str s); /* own copy, NUL behind it; free((char *)copy.p) */

/* Grows v (type T *) with capacity cap so that index n fits. */
#define MEM_GROW(v, n, cap)                                                              \
	do {                                                                             \
		if ((n) >= (cap)) {                                                      \
			(cap) = (cap) ? (cap) * 2 : 8;                                   \
			if ((n) >= (cap)) (cap) = (n) + 1;                               \
			(v) = mem_realloc((v), (cap) * sizeof *(v));                     \
		}                                                                        \
	} while (0)

void buf_free(struct buf *b);                     /* leaves {0} */
static inline void buf_clear(struct buf *b) { b->n = 0; }
void buf_reserve(struct buf *b, size_t more);     /* room for `more` bytes behind n */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_c(struct buf *b, const char *s);
void buf_ch(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_i64(struct buf *b, int64_t v);           /* decimal, fast */
void buf_u64(struct buf *b, uint64_t v);
void buf_rune(struct buf *b, uint32_t rune);      /* UTF-8 */
static inline struct str buf_view(const struct buf *b) { return (struct str){b->p ? b->p : "", b->n}; }
const char *buf_cstr(struct buf *b);              /* puts a NUL behind (not counted); valid until the next change */
void buf_insert(struct buf *b, size_t at, const void *p, size_t n);

/* Little-endian and LEB128 encodings, as used on disk and wire. */
void buf_u8(struct buf *b, uint8_t v);
void buf_le32(struct buf *b, uint32_t v);
void buf_le64(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, uint64_t v);       /* unsigned LEB128 (protobuf varint) */
void buf_zigzag(struct buf *b, int64_t v);
void buf_lpstr(struct buf *b, struct str s);      /* varint length, bytes */

/* Of bytes known to be there. */
static inline uint32_t le32_at(const char *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap32(v) : v;
}
static inline uint64_t le64_at(const char *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(v) : v;
}

/* Reads the same from a slice that it shortens. False: not enough bytes, or a varint over 10 bytes / 64 bits. */
bool rd_u8(struct str *s, uint8_t *v);
bool rd_le32(struct str *s, uint32_t *v);
bool rd_le64(struct str *s, uint64_t *v);
bool rd_varint(struct str *s, uint64_t *v);
bool rd_zigzag(struct str *s, int64_t *v);
bool rd_bytes(struct str *s, size_t n, struct str *v); /* borrows */
bool rd_lpstr(struct str *s, struct str *v);           /* borrows */

/* Go's strconv.Quote: double quotes, \a\b\f\n\r\t\v, \xHH for invalid UTF-8, \u for unprintable. */
void buf_quote(struct buf *b, struct str s);
/* The reverse, over a whole literal including its quotes ("…" or `…`). False: not a Go string literal. */
bool buf_unquote(struct buf *b, struct str literal);
/* Go's strconv.FormatFloat(v, 'f', -1, 64): shortest digits that round-trip, no exponent; NaN, +Inf, -Inf. */
void buf_f64(struct buf *b, double v);
/* Go's FormatFloat(v, 'g', -1, 64), which is fmt's %v: shortest digits, an exponent where it is below -4 or at least 6. */
void buf_f64_g(struct buf *b, double v);

#endif
