/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire: reading protobuf's wire format field by field, as strictly as protobuf-c does (a tag and a length take at
 * most 5 bytes, groups are refused). Borrows; pure; any thread. Inline: it is the inner loop of every push. */
#ifndef LARCH_PROTO_WIRE_H
#define LARCH_PROTO_WIRE_H

#include "common/str.h"

#include <limits.h>

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct wire_field {
	uint32_t number;
	uint32_t wire;
	uint64_t varint;  /* WIRE_VARINT */
	struct str bytes; /* WIRE_BYTES */
};

/* At most 10 bytes; bits beyond 64 are lost, as in every protobuf decoder. */
static inline bool wire_varint(const char **p, const char *end, uint64_t *out)
{
	const char *q = *p;
	if (q < end && !(*q & 0x80)) {
		*out = (uint64_t)*q;
		*p = q + 1;
		return true;
	}
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70 && q < end; shift += 7) {
		uint8_t c = (uint8_t)*q++;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c & 0x80) continue;
		*out = v;
		*p = q;
		return true;
	}
	return false;
}

/* A length takes at most 5 bytes, even where fewer would do, and names at most INT_MAX bytes. */
static inline bool wire_length(const char **p, const char *end, size_t *out)
{
	const char *limit = end - *p > 5 ? *p + 5 : end;
	uint64_t n;
	if (!wire_varint(p, limit, &n) || n > INT_MAX || n > (size_t)(end - *p)) return false;
	*out = (size_t)n;
	return true;
}

/* A tag takes at most 5 bytes, of which the lower 32 bits count; 0 in one byte is none. */
static inline bool wire_tag(const char **p, const char *end, struct wire_field *f)
{
	const char *limit = end - *p > 5 ? *p + 5 : end;
	uint64_t tag;
	if ((**p & 0xf8) == 0 || !wire_varint(p, limit, &tag)) return false;
	f->wire = tag & 7;
	f->number = (uint32_t)(tag >> 3);
	return true;
}

/* Reads the field at *p (which is before end) and moves behind it. Else what is wrong, *p being where. */
static inline const char *wire_next(const char **p, const char *end, struct wire_field *f)
{
	const char *at = *p;
	size_t n;
	if (!wire_tag(p, end, f)) return "bad field tag";
	switch (f->wire) {
	case WIRE_BYTES:
		if (!wire_length(p, end, &n)) return "bad length";
		f->bytes = str_of(*p, n);
		*p += n;
		return NULL;
	case WIRE_VARINT: return wire_varint(p, end, &f->varint) ? NULL : "bad varint";
	case WIRE_64:
	case WIRE_32:
		n = f->wire == WIRE_64 ? 8 : 4;
		if ((size_t)(end - *p) < n) return "cut field";
		*p += n;
		return NULL;
	default: *p = at; return "unknown wire type";
	}
}

#endif
