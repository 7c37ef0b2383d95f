/* SPDX-License-Identifier: GPL-2.0-or-later */
/* discovery: static_configs → targets: label sets after relabelling, each with a path pattern.
 *
 * A target is dropped when relabelling says so, when its __host__ is not this machine, when it has no
 * __path__, or when an equal one exists; the reason is kept for the target page. Labels that start with
 * "__" are gone from a target's labels. Immutable once made; owner: the job. */
#ifndef LARCH_AGENT_DISCOVERY_H
#define LARCH_AGENT_DISCOVERY_H

#include "agent/config.h"
#include "agent/glob.h"
#include "agent/relabel.h"

struct target {
	struct labels discovered; /* before relabelling */
	struct labels labels;
	uint64_t hash;               /* of job name and labels; tells the targets of one path apart on disk */
	const char *pattern;         /* __path__ */
	struct glob *path, *exclude; /* exclude may be NULL */
	const char
		*dropped; /* reason, as the metric has it: "dropped", "wrong_host", "no_path", "exists"; NULL: in use */
};

struct discovery {
	struct arena arena;
	struct target *v;
	size_t n, cap;
};

bool discovery_init(struct discovery *d, const struct job_conf *job, const struct relabel *r, struct err *e);
void discovery_fini(struct discovery *d);

#endif
