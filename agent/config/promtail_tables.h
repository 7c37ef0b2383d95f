/* SPDX-License-Identifier: GPL-2.0-or-later */
/* promtail_tables: every key of Promtail's configuration file, one row each, with its flag where it has
 * one (common/conf.h reads them). Constant. */
#ifndef LARCH_AGENT_CONFIG_PROMTAIL_TABLES_H
#define LARCH_AGENT_CONFIG_PROMTAIL_TABLES_H

#include "agent/config.h"

extern const struct conf_table promtail_table;        /* struct agent_config */
extern const struct conf_table promtail_client_table; /* struct client_conf */
extern const struct conf_table promtail_client_flags; /* the same without checks: flags come one by one */

#endif
