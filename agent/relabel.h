/* SPDX-License-Identifier: GPL-2.0-or-later */
/* relabel: Prometheus' relabelling rules over a label set, as Promtail applies them to targets and, for
 * sources that name their labels per entry (journal), to each entry.
 *
 * Rules are compiled once and immutable. The working set (struct relabel_set) is kept sorted, names
 * unique; what the rules write lives in its arena. Setting a label to "" deletes it. */
#ifndef LARCH_AGENT_RELABEL_H
#define LARCH_AGENT_RELABEL_H

#include "agent/config.h"

struct relabel;

/* v: struct relabel_conf array, borrowed for the lifetime of the result. Places in e are the rule's. */
struct relabel *relabel_new(const struct conf_list *v, struct err *e);
void relabel_free(struct relabel *r);

struct relabel_set {
	struct arena *a;
	struct labels l;
	size_t cap;
};
struct str relabel_get(const struct relabel_set *s, struct str name); /* "" when absent */
void relabel_put(struct relabel_set *s, struct str name,
		 struct str value); /* slices must live as long as the set; "" deletes */
/* False: the set is dropped. */
bool relabel_run(const struct relabel *r, struct relabel_set *s);
/* Removes every label whose name starts with "__". */
void relabel_strip(struct relabel_set *s);

#endif
