/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex_class: the characters of a class while regex_parse reads it: ranges, the groups of Perl and POSIX (ASCII), and
 * Unicode properties by Go's names. With `fold`, groups are closed under Unicode's simple case folding before they are
 * negated, so that folding the finished class changes nothing in them. {0} is an empty set. Not thread-safe. */
#ifndef LARCH_COMMON_REGEX_CLASS_H
#define LARCH_COMMON_REGEX_CLASS_H

#include "common/regex_parse.h"

struct re_set {
	struct re_range *v;
	size_t n, cap;
	struct re_prop *prop;
	size_t n_prop, cap_prop;
};

void re_set_free(struct re_set *c);
void re_set_range(struct re_set *c, uint32_t lo, uint32_t hi);
void re_set_sort(struct re_set *c); /* sorts and joins the ranges */
/* d, s, w, or D, S, W for what they leave out; false: any other letter. */
bool re_set_perl(struct re_set *c, char letter, bool fold);
/* alpha, ^alpha, …; false: there is no such class. */
bool re_set_posix(struct re_set *c, struct str name, bool fold);
/* A general category or script. Names are loose: case, blanks, "_" and "-" do not count. False: there is none. */
bool re_set_prop(struct re_set *c, struct arena *a, struct str name, bool negate, bool fold);

#endif
