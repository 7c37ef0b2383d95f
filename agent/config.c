/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config.h"

void agent_config_free(struct agent_config *c)
{
	if (!c) return;
	struct arena a = c->arena; /* c lives in its own arena */
	arena_free(&a);
}

bool agent_config_place(const struct agent_config *c, struct err *e)
{
	size_t n = strlen(c->file);

	if (!n || strncmp(e->msg, c->file, n) == 0) return false;
	return e->line ? err_wrap(e, "%s:%d:%d", c->file, e->line, e->col) : err_wrap(e, "%s", c->file);
}
