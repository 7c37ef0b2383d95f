/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex_emit: the PCRE2 pattern that means the same as a syntax tree.
 *
 * For PCRE2 with newline LF, PCRE2_DOTALL and PCRE2_ALT_CIRCUMFLEX. Two forms: for texts of valid UTF-8 (PCRE2_UTF) and
 * for texts of ASCII alone (no UTF mode: faster). Every construct whose meaning differs (\s, \w, $, (?i) of groups,
 * possessive forms) is written out rather than borrowed. */
#ifndef LARCH_COMMON_REGEX_EMIT_H
#define LARCH_COMMON_REGEX_EMIT_H

#include "common/buf.h"
#include "common/regex_parse.h"

enum {
	EMIT_UTF = 1,    /* else: ASCII texts */
	EMIT_GROUPS = 2, /* keep capturing groups as such */
};

void re_emit(struct buf *b, const struct re_node *n, unsigned flags);

#endif
