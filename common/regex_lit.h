/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex_lit: what a syntax tree says about literal text: the literals it is equal to, those that every match begins
 * with, and those of which every match contains one. For searching these before, or instead of, matching.
 *
 * Sets are small (SCAN_SET_MAX literals of at most RE_LIT_MAX bytes); what would grow beyond that, or beyond the
 * arena's cap, is unknown. Results live in the arena or borrow from the tree. Pure. */
#ifndef LARCH_COMMON_REGEX_LIT_H
#define LARCH_COMMON_REGEX_LIT_H

#include "common/regex_parse.h"

#define RE_LIT_MAX 256

/* "One of these". n == 0: unknown. */
struct re_lits {
	struct str *v; /* fold: lower case, ASCII */
	size_t n;
	bool fold; /* in any ASCII case; `k` and `s` then also stand for U+212A and U+017F */
};

struct re_facts {
	struct re_lits exact;  /* every match is one of these … */
	bool whole;            /* … and each of these is a match wherever it stands */
	struct re_lits prefix; /* every match begins with one of these */
	struct re_lits inner;  /* every match contains one of these, none of them empty */
};

struct re_facts re_facts(struct arena *a, const struct re_node *n);

#endif
