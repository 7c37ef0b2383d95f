/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex_pcre: a syntax tree as PCRE2 programs, and running them over any bytes.
 *
 * PCRE2 reads either bytes or valid UTF-8, so a text is prepared first: ASCII runs a program without UTF mode, valid
 * UTF-8 one with it, and a text with bad bytes is copied with U+FFFD in their place and offsets are mapped back.
 * Programs are compiled when first needed; several threads may race to do so. Match data, JIT stack and the copy
 * belong to the thread (freed with it); so a prepared text is valid until the thread prepares another. */
#ifndef LARCH_COMMON_REGEX_PCRE_H
#define LARCH_COMMON_REGEX_PCRE_H

#include "common/regex.h"
#include "common/regex_parse.h"

struct rp_code; /* one compiled program; opaque */

/* A tree compiled up to twice: [0] for ASCII, [1] for UTF-8. */
struct rp {
	const struct re_node *root; /* borrowed; NULL: there is no such program */
	bool groups;                /* capture */
	bool anchored;              /* match only at the start offset */
	_Atomic(struct rp_code *) code[2];
};

struct rp_text {
	struct str s; /* what PCRE2 reads */
	bool utf;
	const size_t *bad; /* offsets in s of the U+FFFDs put in for bad bytes */
	size_t n_bad;
};

enum rp_outcome { RP_MISS, RP_HIT, RP_GAVE_UP /* match limit, or PCRE2 could not compile it */ };

void rp_free(struct rp *p);
void rp_prepare(struct rp_text *t, struct str s);
size_t rp_offset_in(const struct rp_text *t, size_t original);
size_t rp_offset_out(const struct rp_text *t, size_t prepared);
/* First match at or after `start` (an offset in t->s); spans (n may be 0) are filled with offsets in t->s. */
enum rp_outcome rp_run(struct rp *p, const struct rp_text *t, size_t start, struct regex_span *spans, size_t n);

#endif
