/* SPDX-License-Identifier: GPL-2.0-or-later */
/* promtail: Promtail's YAML and command-line flags → struct agent_config.
 *
 * Order: defaults, then YAML, then flags. Strict: unknown and duplicate keys are errors; keys that mean
 * nothing here are accepted and reported once; keys that name a destination or a protection which is not
 * there are refused. Every error has its line and column. Not thread-safe while loading. */
#ifndef LARCH_AGENT_CONFIG_PROMTAIL_H
#define LARCH_AGENT_CONFIG_PROMTAIL_H

#include "agent/config.h"

struct promtail_flag {
	struct str name, value;
};

struct promtail_source {
	const char *file; /* for error texts; "" when there is no file */
	struct str text;  /* "": no file */
	bool expand_env;
	const struct promtail_flag *flags; /* in command-line order */
	size_t nflags;
	bool want_stdin;                            /* -stdin: the first job reads standard input */
	bool want_client;                           /* a start would fail without a client */
	void (*notice)(void *ud, const char *text); /* ignored keys; may be NULL */
	void *ud;
};

struct agent_config *promtail_load(const struct promtail_source *src, struct err *e);

/* Is there such a configuration flag, and is it a switch (needs no value)? */
bool promtail_flag_known(struct str name, bool *is_bool);
void promtail_flags_help(struct buf *out);
/* The effective configuration as YAML, secrets masked. */
void promtail_print(const struct agent_config *c, struct buf *out);
void promtail_print_client(const struct client_conf *c, struct buf *out);
void promtail_manual(struct buf *out);

#endif
