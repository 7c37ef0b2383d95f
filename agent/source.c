/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/source.h"

#define SOURCE(name) extern const struct source_type source_##name;
#include "agent/sources.def"
#undef SOURCE

static const struct source_type *const types[] = {
#define SOURCE(name) &source_##name,
#include "agent/sources.def"
#undef SOURCE
};

const struct source_type *source_for(const struct job_conf *job)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i]->wants(job)) return types[i];
	return NULL;
}
