/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as the agent's configuration: never a crash; whatever is accepted is checked as a start would. */
#include "agent/agent.h"
#include "agent/config/promtail.h"
#include "common/log.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct promtail_source src = {
		.file = "f.yaml", .text = str_of((const char *)data, size), .expand_env = size % 2};
	struct err e = ERR_INIT;
	struct agent_config *c;

	log_set_level(LOG_LEVEL_ERROR);
	c = promtail_load(&src, &e);
	if (c) {
		struct buf b = {0};
		promtail_print(c, &b);
		buf_free(&b);
		agent_check(c, &e);
	}
	agent_config_free(c);
	return 0;
}
