/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/api.h"

static const struct api_table *const tables[] = {
	&api_query_table,
	&api_labels_table,
	&api_index_table,
	&api_detect_table,
	&api_patterns_table,
	&api_legacy_table,
	&api_push_table,
	&api_otlp_table,
	&api_rules_table,
	&api_limits_table,
	&api_queries_table,
	&api_tail_table,
	&api_export_table,
	&api_context_table,
	&api_estimate_table,
	&api_delete_table,
	&api_store_table,
	&api_shutdown_table,
	&api_status_table,
};

struct httpd_route *api_routes(size_t *n)
{
	struct httpd_route *v = NULL;
	size_t cap = 0;
	*n = 0;
	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
		for (size_t i = 0; i < tables[t]->n; i++) {
			MEM_GROW(v, *n, cap);
			v[*n] = tables[t]->v[i];
			v[*n].queued = tables[t]->queued;
			if (!v[*n].access) v[*n].access = (unsigned char)tables[t]->access;
			++*n;
		}
	}
	return v;
}
