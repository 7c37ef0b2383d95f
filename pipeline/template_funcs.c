/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/template_funcs.h"

static const struct template_func logql_rows[] = {
#define TEMPLATE_BOTH(name, args, fn)  {name, args, fn},
#define TEMPLATE_LOGQL(name, args, fn) {name, args, fn},
#include "pipeline/template_funcs.def"
};

static const struct template_func agent_rows[] = {
#define TEMPLATE_BOTH(name, args, fn)  {name, args, fn},
#define TEMPLATE_AGENT(name, args, fn) {name, args, fn},
#include "pipeline/template_funcs.def"
};

const struct template_funcs *template_funcs_logql(void)
{
	static const struct template_funcs funcs = {logql_rows, sizeof logql_rows / sizeof *logql_rows, true};
	return &funcs;
}

const struct template_funcs *template_funcs_agent(void)
{
	static const struct template_funcs funcs = {agent_rows, sizeof agent_rows / sizeof *agent_rows, false};
	return &funcs;
}
