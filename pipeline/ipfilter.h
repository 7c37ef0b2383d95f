/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfilter: ip("…") of line filters and label filters: one address, a CIDR block, or a range a-b; v4 or v6.
 * Immutable once made; share between threads. */
#ifndef LARCH_PIPELINE_IPFILTER_H
#define LARCH_PIPELINE_IPFILTER_H

#include "common/err.h"
#include "common/str.h"

struct ipfilter {
	unsigned char lo[16], hi[16]; /* inclusive, network order; v4 uses the first 4 bytes */
	bool v6;
};

/* Error: `ip: invalid pattern: "…"`. */
bool ipfilter_init(struct ipfilter *f, struct str pattern, struct err *e);
/* Does the text hold an address in the range? Addresses are looked for as Loki does: a run of digits and dots (or hex
 * digits, colons and dots) either is an address as a whole or is skipped, so "10.0.0.1." holds none. */
bool ipfilter_line(const struct ipfilter *f, struct str text);

#endif
