/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex_nfa: matching in time linear in the text, whatever the pattern: Thompson's simulation with Pike's capture
 * lists (R. Cox, "Regular Expression Matching: the Virtual Machine Approach",
 * https://swtch.com/~rsc/regexp/regexp2.html).
 *
 * Used where PCRE2 gives up (match limit, pattern too large) or differs in what its groups hold (loops over
 * something that may be empty). Reads any bytes: a bad one is U+FFFD. A program is immutable: share between threads; a
 * run allocates its own lists. Cost: O(text × program), memory O(program × groups). */
#ifndef LARCH_COMMON_REGEX_NFA_H
#define LARCH_COMMON_REGEX_NFA_H

#include "common/regex_parse.h"

struct nfa;

#define NFA_MAX_SIZE  500000  /* instructions */
#define NFA_MAX_SLOTS 8000000 /* instructions × capture slots */

/* Is the tree small enough to be made into a program? */
bool nfa_fits(const struct re_ast *t);
/* root is t->root or a node made from its parts. groups false: captures are not tracked. */
struct nfa *nfa_new(const struct re_ast *t, const struct re_node *root, bool groups);
void nfa_free(struct nfa *p);
/* Leftmost-first match beginning at or after start. slots (2 * n, may be 0) gets begin and end of the match and of
 * groups 1..n-1; -1: took no part. */
bool nfa_run(const struct nfa *p, struct str s, size_t start, ssize_t *slots, size_t n);

#endif
