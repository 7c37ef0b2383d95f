/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simple_regex: label filters' regular expressions that Loki runs as literal searches.
 *
 * `| level=~"err.*"` is, in Loki, "level contains err": an expression made of literals, `.*`, `.+` and alternatives is
 * rewritten to substring and equality tests, which drops its anchors. Users see it ("stderr" passes), so the rule is
 * kept: after Go's regexp/syntax has factored common prefixes, a plain literal tests equality, a concatenation of one
 * literal with `.*` on either side tests for the literal anywhere, a literal with alternatives behind it tests for each
 * combination, `.*` takes everything and `.+` what is not empty; whatever else appears, the expression is
 * a real one. Built in the arena; immutable; matching is linear in value length times literals. */
#ifndef LARCH_SERVER_LOGQL_SIMPLE_REGEX_H
#define LARCH_SERVER_LOGQL_SIMPLE_REGEX_H

#include "common/arena.h"

struct logql_simple_regex;

/* NULL: the expression is not simple. It must be a valid one. */
const struct logql_simple_regex *simple_regex_new(struct arena *a, struct str regex);
bool simple_regex_match(const struct logql_simple_regex *r, struct str value);

#endif
