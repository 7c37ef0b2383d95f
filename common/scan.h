/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scan: searching bytes for literals, 16 at a time (GCC vectors: SSE2, NEON).
 *
 * Candidates are places where the first and the last byte of the needle stand at the right distance; where these
 * are too frequent, memmem's linear algorithm takes over. "Folded" searches ignore ASCII case; their needles are
 * lower case and ASCII. Pure functions; a scan_set is immutable once made: any thread. */
#ifndef LARCH_COMMON_SCAN_H
#define LARCH_COMMON_SCAN_H

#include "common/str.h"

/* First offset of the needle or -1; an empty one is found at 0. */
ssize_t scan_find(struct str s, struct str needle);
ssize_t scan_find_fold(struct str s, struct str needle);
/* Last offset or -1; an empty needle is found at s.n. */
ssize_t scan_rfind(struct str s, struct str needle, bool fold);
/* Does s have the needle at offset at? */
bool scan_at(struct str s, size_t at, struct str needle, bool fold);
/* Is every byte below 0x80? */
bool scan_ascii(struct str s);

/* Does a text contain any of several literals? Small sets are searched one by one; larger ones by a table
 * of the pairs of bytes that they begin with. */
struct scan_set {
	struct str *v; /* own copies */
	size_t n;
	bool fold;
	uint64_t *pairs; /* bit per first two bytes, or NULL */
	int16_t *head;   /* by first byte: first literal, or -1 */
	int16_t *next;   /* chain of literals with the same first byte */
};

#define SCAN_SET_MAX 128
/* Copies up to SCAN_SET_MAX literals, none of them empty. */
void scan_set_init(struct scan_set *set, const struct str *v, size_t n, bool fold);
void scan_set_free(struct scan_set *set);
bool scan_set_any(const struct scan_set *set, struct str s);
/* The last offset below `before` at which a literal of the set lies in s, or -1. */
ssize_t scan_set_last(const struct scan_set *set, struct str s, size_t before);

#endif
